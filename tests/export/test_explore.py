"""The models behind the page, and the page itself where there is gradio."""

import asyncio
import gc
import http.client
import io
import json
import os
import re
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pgtf.commands import generate_runs
from pgtf.export import explore, explore_tabs
from pgtf.export.directions import edit
from pgtf.export.explorable import LiveModel, ServedModel, latents_of
from pgtf.export.source import Source
from pgtf.interop import save_snapshot
from pgtf.marks import read_packet
from tests import tiny


@pytest.fixture
def live(labelled):
    """The page's view of the labelled generator."""
    return LiveModel(Source(labelled.Gs, labelled.folder / "x.h5", {"label_names": list("abc")}))


def test_a_live_and_an_exported_model_give_the_same_images(live, labelled):
    served = ServedModel(labelled.folder)
    assert (served.latent_size, served.label_size, served.lod) == (5, 3, 1.5)
    assert served.label_names == live.label_names == ("a", "b", "c")
    assert (live.max_lod, served.max_lod) == (2, None)
    latents = latents_of(live, [3, 4])
    answers = [model.generate(latents, 1, model.lod).astype(int) for model in (live, served)]
    assert answers[0].shape == (2, 8, 8, 1)
    assert np.abs(answers[0] - answers[1]).max() <= 1


def test_a_class_and_a_lod_change_the_image(live):
    latents = latents_of(live, [3])
    assert not np.array_equal(live.generate(latents, 0, 1.5), live.generate(latents, 1, 1.5))
    assert live.generate(latents, 0, 0).shape == (1, 16, 16, 1)
    assert live.generate(latents, 0, 2).shape == (1, 4, 4, 1)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a SavedModel of generate.py export"):
        ServedModel(tmp_path)


@pytest.mark.parametrize(
    ("gradio", "words"),
    [(None, "needs the package gradio"), (types.SimpleNamespace(__version__="5.50.0"), "5.50.0")],
)
def test_a_missing_or_old_gradio_is_named(live, monkeypatch, gradio, words):
    monkeypatch.setitem(sys.modules, "gradio", gradio)  # importing None raises
    with pytest.raises(ValueError, match=f"{words}.*pip install 'gradio>=6'"):
        explore.explore(live, "127.0.0.1", None)


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Function that opens the page of a model, and returns its address and its folder."""
    pytest.importorskip("gradio", reason="the explore page is not tested: no gradio")
    import gradio.routes  # noqa: F401  (it makes a folder)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    apps = []

    def open_page(model=None, **options):
        if model is None:
            names = [f"{'c' * 100}\x1b[2J{i}" for i in range(options.get("label_size", 0))]
            source = Source(tiny.generator(**options), Path("![x](//y)\x1b[2J.h5"), {})
            model = LiveModel(source)
            model.label_names = tuple(names)
        app, address = explore.explore(model, "127.0.0.1", None, wait=False)
        apps.append(app)
        return address.removeprefix("http://").rstrip("/"), tmp_path

    yield open_page
    while apps:
        apps.pop().close()
    gc.collect()


def ask(host, method, path, body=None, **headers):
    """Sends a request. Returns the status and the content of the answer."""
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def shows_of(host):
    """Numbers of the events that show the pictures when the page loads, one per tab."""
    page = json.loads(ask(host, "GET", "/config")[1])
    return [event["id"] for event in page["dependencies"] if event["targets"][0][1] == "load"]


def trigger(host, event, *data):
    """Does what the browser does for an event. Returns the result, or the error."""
    name = f"visit{time.monotonic_ns()}"
    body = json.dumps({"data": data, "fn_index": event, "session_hash": name})
    own = {"Content-Type": "application/json", "Origin": f"http://{host}"}
    assert ask(host, "POST", "/gradio_api/queue/join", body, **own)[0] == 200
    lines = ask(host, "GET", f"/gradio_api/queue/data?session_hash={name}")[1].splitlines()
    messages = [json.loads(line[5:]) for line in lines if line.startswith(b"data:")]
    (done,) = (message for message in messages if message["msg"] == "process_completed")
    return done["output"].get("data") or done["output"]["error"]


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


@pytest.mark.filterwarnings("default")  # gradio's own
@pytest.mark.parametrize(("resolution", "tabs"), [(4, 3), (8, 4)])
def test_networks_of_one_level_have_a_page_too(opened, resolution, tabs):
    host, _ = opened(resolution=resolution)
    shows = shows_of(host)
    assert len(shows) == tabs
    assert trigger(host, shows[0], "7", 0)[1]["orig_name"] == "seed0007.png"
    assert len(trigger(host, shows[1], "7", 4, 0)[0]) == 4
    assert "image.png" in str(trigger(host, shows[2], "1", "2", 0.5, 0)[0])
    for event in shows[3:]:
        assert "at growth 1" in str(trigger(host, event, "7", 1, 0)[0])
    assert ask(host, "GET", "/")[0] == 200


@pytest.mark.filterwarnings("default")  # gradio's own
def test_a_closed_page_leaves_no_event_loop_open(opened, monkeypatch):
    made, new_event_loop = [], asyncio.new_event_loop

    def recorded():
        made.append(new_event_loop())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", recorded)
    monkeypatch.setattr(asyncio.events, "new_event_loop", recorded)
    opened(resolution=4)
    assert len(made) >= 1
    assert sum(not loop.is_closed() for loop in made) <= 1  # the server's, until it is closed


@pytest.mark.filterwarnings("default")  # gradio's own
def test_the_page_serves_its_own_visitors_and_takes_no_files(opened):
    host, folder = opened(label_size=2)
    before = files_in(folder)
    for headers in ({"Host": "evil.example:7860"}, {"Origin": "http://evil.example"}):
        assert ask(host, "GET", "/config", **headers)[0] == 403
        assert ask(host, "POST", "/gradio_api/queue/join", b"{}", **headers)[0] == 403
    assert ask(host, "GET", "/config", Host="localhost:7860")[0] == 200
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    part = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nA\r\n--x--\r\n'
    )
    for path in ("upload", "process_recording", "component_server"):
        assert ask(host, "POST", f"/gradio_api/{path}", part, **form)[0] == 403
    assert ask(host, "POST", "/gradio_api/queue/join", b" " * 70_000)[0] == 413
    assert files_in(folder) == before
    show = shows_of(host)[0]
    skipped = [{"__type__": "update"}] * 3
    for seed in (-1, "-1", "", "1.5", "9" * 19, 1e30, None, float("inf"), ["1"]):
        assert trigger(host, show, seed, 0) == skipped  # an incomplete field shows nothing new
    for class_id in (2, -1, None, "x", float("nan")):
        assert trigger(host, show, "1", class_id)
    assert "seed0001.png" in trigger(host, show, "1", 1)[1]["path"]


@pytest.mark.filterwarnings("default")  # gradio's own
def test_a_wrong_value_is_one_toast_and_no_traceback(opened, capsys):
    host, _ = opened(label_size=2)
    show = shows_of(host)[0]
    assert trigger(host, show, "1", 2) == "A class is a number from 0 to 1."
    assert trigger(host, show, "1", "<b>") == "This field needs a number."
    number = shows_of(host)[1]
    assert len(trigger(host, number, "1", 1e9, 0)[0]) == explore_tabs.MAX_GRID
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.filterwarnings("default")  # gradio's own
def test_a_run_shows_the_network_as_it_was(opened, tmp_path):
    paths = []
    for kimg, lod in ((4, 2.0), (8, 0.0)):
        networks = [make() for make in (tiny.generator, tiny.discriminator, tiny.generator)]
        for network in networks:
            network.lod = lod
        paths.append(tmp_path / f"network-snapshot-{kimg:06d}.h5")
        save_snapshot(paths[-1], *networks)
    model = generate_runs.explorable_of(Source.from_snapshot(paths[-1]))
    host, _ = opened(model)
    picture, caption = trigger(host, shows_of(host)[3], "7", 1, 0)
    assert caption == r"4 kimg\: 4x4"
    assert "image of seed 7 after 4 kimg: 4x4" in str(picture)
    paths[0].write_bytes(b"<b>no snapshot")
    trigger(host, shows_of(host)[3], "7", 2, 0)
    error = trigger(host, shows_of(host)[3], "7", 1, 0)
    assert "network-snapshot-000004.h5" in error
    assert "<b>" not in error


@pytest.mark.filterwarnings("default")  # gradio's own
def test_a_slider_for_each_direction_turns_the_image_and_is_in_its_mark(opened, rng):
    vectors = {
        name: np.float32(x / np.linalg.norm(x))
        for name, x in zip(("smile", "hair-blue"), rng.normal(size=[2, 8]), strict=True)
    }
    source = Source(tiny.generator(), Path("x.h5"), {})
    model = LiveModel(source, vectors=vectors)
    host, _ = opened(model)
    page = json.loads(ask(host, "GET", "/config")[1])
    sliders = [x["props"] for x in page["components"] if x["type"] == "slider"]
    sliders = [x for x in sliders if str(x.get("elem_id")).startswith("direction")]
    assert [x["label"] for x in sliders] == ["smile", "hair-blue"]
    assert {(x["minimum"], x["maximum"], x["value"]) for x in sliders} == {(-1, 1, 0)}
    show = shows_of(host)[0]
    for sent, angles in (((0, 0), (0, 0)), ((0.5, -0.2), (0.5, -0.2)), ((7, 0), (1, 0))):
        _, png, latent = trigger(host, show, "7", 0, *sent)
        turned = edit(latents_of(model, [7]), np.stack(list(vectors.values())), [angles])
        content, saved = (
            ask(host, "GET", f"/gradio_api/file={x['path']}")[1] for x in (png, latent)
        )
        np.testing.assert_array_equal(np.load(io.BytesIO(saved)), turned)
        found = np.asarray(PIL.Image.open(io.BytesIO(content))).astype(int)
        assert np.abs(found - model.generate(turned, 0, 0)[0]).max() <= 1
        (packet,) = re.findall(rb"<\?xpacket begin.*?end=\"r\"\?>", content, re.DOTALL)
        facts = read_packet(packet, "x").facts
        expected = " ".join(f"{n}={a:g}" for n, a in zip(vectors, angles, strict=True) if a)
        assert facts.get("Edit", "") == expected
        assert ("Seeds" in facts) == (not any(angles))


@pytest.mark.filterwarnings("default")  # gradio's own
def test_shown_pictures_are_deleted_as_new_ones_are_made_and_at_the_end(opened, monkeypatch):
    monkeypatch.setattr(explore.shown_files, "KEPT", 8)
    host, folder = opened()
    for seed in range(12):
        picture, *downloads = trigger(host, shows_of(host)[0], seed, 0)
        for shown in (picture.get("value", picture), *downloads):
            assert ask(host, "GET", f"/gradio_api/file={shown['path']}")[0] == 200
        assert len(files_in(folder)) <= 8 + 8 + 5  # those of one event are deleted by the next
    (root,) = folder.glob(f"{explore.shown_files.PREFIX}*")
    outside = folder / "secret.txt"
    outside.write_text("secret")
    for path in (outside, root / "lock", f"{root}/shown/../lock", "/etc/passwd"):
        assert ask(host, "GET", f"/gradio_api/file={path}")[0] == 403


@pytest.mark.filterwarnings("default")  # gradio's own
def test_the_page_bounds_names_and_lists_of_classes(opened, monkeypatch):
    host, _ = opened(label_size=3)
    text = ask(host, "GET", "/config")[1].decode()
    assert "c" * explore.MAX_NAME in text
    assert "c" * (explore.MAX_NAME + 1) not in text
    assert "\\u001b" not in text
    assert "![x]" not in text
    monkeypatch.setattr(explore_tabs, "MAX_MENU", 2)
    host, _ = opened(label_size=3)
    text = ask(host, "GET", "/config")[1].decode()
    assert "ccc" not in text
    assert "Class, 0 to 2" in text
    assert "seed0001.png" in trigger(host, shows_of(host)[0], "1", 2)[1]["path"]


def test_a_stopped_page_leaves_nothing(live, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shown = explore.shown_files.ShownFiles()
    shown.download("a.png").write_bytes(b"x")

    class App:
        @property
        def is_running(self):
            raise KeyboardInterrupt

        def close(self, verbose):
            assert list(tmp_path.iterdir()) == []  # Nothing waits for the server.
            os.makedirs(shown._shown)  # as an event that is still running does

    explore._wait(App(), shown)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_page_leaves_nothing(live, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match="needs the package gradio"):
        explore.explore(live, "127.0.0.1", None)
    assert list(tmp_path.iterdir()) == []
