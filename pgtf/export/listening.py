"""The address that a page is served at, chosen before the server starts.

A web server that finds its port taken may say so in the words of its own options.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

from pgtf.foreign.terminal import one_line

FIRST_PORT, NUM_PORTS = 7860, 100  # those tried without --port
MAX_PORT = 65535
LOOPBACK = "127.0.0.1"


def free_port(host: str, port: int | None = None) -> int:
    """Finds a port to listen on.

    Args:
        host: address to listen on.
        port: the port wanted; None = the first free one from 7860.

    Raises:
        ValueError: the port is in use, or the address is not one of this machine; names the flag.
    """
    ports: Iterable[int] = range(FIRST_PORT, FIRST_PORT + NUM_PORTS) if port is None else [port]
    for candidate in ports:
        if not 1 <= candidate <= MAX_PORT:
            raise ValueError(f"`--port` must be in 1 ... {MAX_PORT}. Received: {candidate}.")
        try:
            for name in dict.fromkeys((host, LOOPBACK)):  # gradio wants the port of both.
                _bind(name, candidate)
            return candidate
        except OSError as error:
            if error.errno == errno.EACCES:
                raise ValueError(
                    f"port {candidate} needs the rights of root. Choose a --port above 1023."
                ) from None
            if error.errno != errno.EADDRINUSE:
                raise ValueError(
                    "`--host` must be an address of this machine. "
                    f"Received: {one_line(host)} ({error.strerror or error})."
                ) from None
    if port is None:
        tried = f"ports {FIRST_PORT} to {FIRST_PORT + NUM_PORTS - 1}"
        raise ValueError(f"{tried} are all in use. Choose another with --port.")
    raise ValueError(
        f"port {port} is in use. Choose another --port, or leave it out for the next free one."
    )


def _bind(host: str, port: int) -> None:
    """Listens for a moment. Raises OSError if that is impossible."""
    bare = host.removeprefix("[").removesuffix("]")
    family, kind, protocol, _, address = socket.getaddrinfo(
        bare or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as server:
        # Connections that were just closed keep no port busy, as for the server itself.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(1)
