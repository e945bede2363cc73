"""Requests that the page of `explore` answers, and those that it refuses, without gradio."""

import asyncio

import pytest

from pgtf.export import gate
from pgtf.export.gate import MAX_BODY, Gate, names_of

JOIN = "/gradio_api/queue/join"
HERE = {"host": "127.0.0.1:7860"}


def request(headers, path="/", method="GET", chunks=(b"",), host="127.0.0.1", wait=False):
    """Status of the answer to a request, and the body that the application saw, if it saw one."""
    seen, sent, parts = [], [], list(chunks)

    async def app(scope, receive, send):
        seen.append((await receive())["body"] if method == "POST" else b"")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        if not parts and wait:
            await asyncio.sleep(60)
        if not parts:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts) or wait}

    async def send(message):
        sent.append(message)

    pairs = headers.items() if isinstance(headers, dict) else headers
    encoded = [(name.encode(), value.encode("latin1")) for name, value in pairs]
    scope = {"type": "http", "method": method, "path": path, "headers": encoded}
    asyncio.run(Gate(app, host)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    return sent[0]["status"], (seen or [None])[0]


@pytest.mark.parametrize(
    ("listens", "asked"),
    [
        ("127.0.0.1", "127.0.0.1:7860"),
        ("127.0.0.1", "LOCALHOST.:8888"),  # a tunnel of ssh from another port
        ("127.0.0.1", "localhost"),
        ("::1", "[::1]:7860"),
        ("[::1]", "[::1]:7860"),
        ("gpu7.lab", "gpu7.lab:7860"),
        ("192.168.1.5", "192.168.1.5:7860"),
        ("192.168.1.5", "localhost:7860"),
        ("0.0.0.0", "10.1.2.3:7860"),
        ("::", "[fd00::1]:7860"),
    ],
)
def test_the_page_answers_to_its_own_address_and_pages_of_it(listens, asked):
    assert request({"host": asked}, host=listens) == (200, b"")
    own = {"host": asked, "origin": f"http://{asked}", "content-length": "2"}
    assert request(own, JOIN, "POST", [b"{}"], listens) == (200, b"{}")


@pytest.mark.parametrize(
    ("listens", "asked"),
    [
        ("127.0.0.1", "evil.example:7860"),
        ("127.0.0.1", "127.0.0.1.evil.example:7860"),
        ("127.0.0.1", "localhost:7860@evil.example"),
        ("127.0.0.1", "evil.example#localhost"),
        ("127.0.0.1", "10.1.2.3:7860"),
        ("127.0.0.1", "0.0.0.0:7860"),
        ("127.0.0.1", "localhost:78600000"),
        ("127.0.0.1", ""),
        ("gpu7.lab", "gpu7.lab.evil.example:7860"),
        ("192.168.1.5", "192.168.1.6:7860"),
        ("0.0.0.0", "evil.example:7860"),
        ("0.0.0.0", "0.0.0.0:7860"),
        ("::", "evil.example:7860"),
    ],
)
def test_a_name_that_another_page_has_pointed_here_gets_nothing(listens, asked):
    assert request({"host": asked}, host=listens) == (403, None)
    assert request({"host": asked}, JOIN, "POST", [b"{}"], listens) == (403, None)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:7860",
        "http://127.0.0.1:7860.evil.example",
        "http://127.0.0.1:7860/",
        "file://127.0.0.1:7860",
        "127.0.0.1:7860",
    ],
)
def test_another_page_in_the_browser_cannot_use_this_one(origin):
    sent = HERE | {"origin": origin}
    assert request(sent) == (403, None)
    assert request(sent, JOIN, "POST", [b"{}"]) == (403, None)


def test_the_default_port_of_an_origin_may_be_left_out():
    assert request({"host": "localhost", "origin": "http://localhost:443"})[0] == 403
    assert request({"host": "localhost:443", "origin": "https://localhost"})[0] == 200
    assert request({"host": "localhost", "origin": "http://localhost:80"})[0] == 200


def test_a_request_with_no_host_or_two_is_refused():
    for pairs in ([], [("host", "localhost")] * 2, [("Host", "localhost"), ("host", "evil")]):
        assert request(pairs) == (403, None)
    twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil")]
    assert request(twice) == (403, None)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/upload",
        "/gradio_api/upload/",
        "/upload",
        "//gradio_api/upload",
        "/gradio_api/process_recording",
        "/gradio_api/component_server",
        "/gradio_api/vibe-code/",
        "/gradio_api/run/show",
        "/gradio_api/stream/1",
        "/login",
        "/gradio_api/queue/join/../upload",
    ],
)
def test_nothing_is_uploaded_whatever_its_size(path):
    assert request(HERE, path, "POST", [b"A"]) == (403, None)
    assert request(HERE | {"content-length": "1"}, path, "POST", [b"A"]) == (403, None)


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://example.org/x",
        "/gradio_api/file=https://example.org/x",
        "/gradio_api/file/ftp://example.org/x",
        "/gradio_api/deep_link",
        "/gradio_api/vibe-code",
    ],
)
def test_nothing_is_fetched_from_elsewhere_or_written_for_a_visitor(path):
    assert request(HERE, path) == (403, None)


@pytest.mark.parametrize("path", ["/", "/config", "/assets/a.js", "/gradio_api/file=/tmp/a.png"])
def test_what_the_page_shows_is_passed_on(path):
    assert request(HERE, path) == (200, b"")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "CONNECT"])
def test_other_methods_are_refused(method):
    assert request(HERE, "/", method) == (405, None)


def test_a_body_is_small_whether_its_length_is_stated_or_not():
    most = b" " * MAX_BODY
    assert request(HERE, JOIN, "POST", [most[:100], most[100:]]) == (200, most)
    assert request(HERE, JOIN, "POST", [most, b" "]) == (413, None)
    for length in (MAX_BODY + 1, "9" * 400, -1, "1e3", ""):
        assert request(HERE | {"content-length": str(length)}, JOIN, "POST", [b"{}"])[0] == 413


def test_a_body_that_never_ends_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(gate, "BODY_SEC", 0.05)
    assert request(HERE, JOIN, "POST", [b"{"], wait=True) == (408, None)


def test_a_websocket_is_closed_and_the_start_of_the_server_passes():
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    for kind in ("lifespan", "websocket"):
        headers = [(b"host", b"127.0.0.1:7860")]
        scope = {"type": kind, "path": "/", "headers": headers}
        asyncio.run(Gate(app, "127.0.0.1")(scope, None, send))
    assert seen == ["lifespan"]
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_server_on_all_addresses_knows_the_name_of_its_machine(monkeypatch):
    monkeypatch.setattr(gate.socket, "gethostname", lambda: "GPU7.lab.example")
    assert names_of("0.0.0.0") == {
        "gpu7", "gpu7.local", "gpu7.lab.example", "localhost", "127.0.0.1", "::1"
    }  # fmt: skip
