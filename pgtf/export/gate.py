"""Requests that the page of `explore` answers: sent to its own address, small, no uploads.

A web server on a port of this machine is reached by more than its user: by every page in the user's
browser, whose name may lead to this machine (DNS rebinding), and by everyone on the network if it
listens there. What gradio offers beyond showing a page, such as uploads, is refused here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any

from pgtf.installation import spelled

MAX_BODY = 1 << 16  # bytes of a request; those of the page have a few hundred
BODY_SEC = 10.0  # limit for the body of a request to arrive
# Requests of the page that change something: an event, its end, and the end of a visit.
POSTED = frozenset(f"/gradio_api/{name}" for name in ("queue/join", "cancel", "reset"))
# They fetch addresses for others, or write files.
REFUSED = re.compile(
    r"(?:/gradio_api)?/(?:proxy=|file[=/]\s*[\w+.-]+:|deep_link|dev/|run-history|vibe)"
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("", "0.0.0.0", "::")
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?")
PORTS = {"http": "80", "https": "443"}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Gate:
    """ASGI middleware that passes only requests that the page itself would send.

    Args:
        app: the ASGI application behind it.
        host: address that the server listens on.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], host: str) -> None:
        self._app, self._names = app, names_of(host)
        self._any_address = _bare(host) in EVERYWHERE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":  # The page uses no WebSocket.
            await send({"type": "websocket.close", "code": 1008})
        elif refused := self._refused(scope):
            await _answer(send, *refused)
        elif scope["method"] == "POST":
            await self._post(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        """Returns the status and the reason if a request is refused by its headers."""
        headers = scope["headers"]
        if not is_own(headers, self._names, self._any_address):
            names = ", ".join(sorted(self._names))
            remedy = spelled("See --host of generate.py explore.")
            return 403, f"This page answers to {names} only. {remedy}"
        if scope["method"] not in ("GET", "HEAD", "POST", "OPTIONS"):
            return 405, "This page has nothing to change."
        is_posted = scope["method"] == "POST"
        if REFUSED.match(scope["path"]) or is_posted and scope["path"].rstrip("/") not in POSTED:
            return 403, "This page takes no uploads, and fetches nothing."
        sizes = _values(headers, b"content-length")
        if any(not re.fullmatch(r"\d{1,18}", size) or int(size) > MAX_BODY for size in sizes):
            return 413, f"This page takes at most {MAX_BODY} bytes."
        return None

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the whole body, whose length may not have been stated, and passes it on."""
        try:
            body = await asyncio.wait_for(_read_body(receive), BODY_SEC)
        except asyncio.TimeoutError:
            await _answer(send, 408, f"This page waits {BODY_SEC:g} seconds for a request.")
            return
        if body is None:
            await _answer(send, 413, f"This page takes at most {MAX_BODY} bytes.")
            return
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Any:
            return parts.pop() if parts else await receive()

        await self._app(scope, replay, send)


def names_of(host: str) -> frozenset[str]:
    """Returns the names by which the user reaches a server that listens on `host`.

    The names of the loopback address are always among them: a tunnel of ssh ends there.
    """
    name = _bare(host)
    if name not in EVERYWHERE:
        return frozenset({name, *LOOPBACK})
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    return frozenset({own, short, f"{short}.local", *LOOPBACK})


def is_own(
    headers: Sequence[tuple[bytes, bytes]], names: Collection[str], any_address: bool = False
) -> bool:
    """True if a request was sent to one of `names`, and by a page of the same host, or by none.

    Args:
        headers: headers of the request.
        names: names of the server, without brackets and port.
        any_address: accept every IP address as well. Other pages cannot take an address for their
            own, as they can a name.
    """
    hosts, origins = _values(headers, b"host"), _values(headers, b"origin")
    found = HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    if found is None or len(origins) > 1:
        return False
    name = _bare(found[1])
    if name not in names and not (any_address and _is_address(name)):
        return False
    if not origins:
        return True
    scheme, _, sender = origins[0].lower().partition("://")
    other = HOST.fullmatch(sender)
    if scheme not in PORTS or other is None:  # "null" is the origin of a page in a file.
        return False
    port = PORTS[scheme]
    return (_bare(other[1]), other[2] or port) == (name, found[2] or port)


def _bare(host: str) -> str:
    return host.lower().removeprefix("[").removesuffix("]").removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return not address.is_unspecified


def _values(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin1").strip() for key, value in headers if key.lower() == name]


async def _read_body(receive: Receive) -> bytes | None:
    """Reads the body of a request; None if it is too long, or its sender has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return body


async def _answer(send: Send, status: int, text: str) -> None:
    content = f"{text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),  # The rest of a body is not read.
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
