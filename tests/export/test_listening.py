"""The port of the page of `explore`, found before a server says no in its own words."""

import socket

import pytest

from pgtf.export import listening


@pytest.fixture
def taken():
    """A port of this machine on which somebody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        yield server.getsockname()[1]


def test_a_port_that_is_free_is_taken(taken):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    assert listening.free_port("127.0.0.1", port) == port
    assert listening.free_port("", port) == port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_busy_port_is_refused_with_the_remedy(taken, host):
    with pytest.raises(ValueError, match=rf"^port {taken} is in use\. Choose another --port"):
        listening.free_port(host, taken)


def test_without_a_port_the_next_free_one_is_taken(taken, monkeypatch):
    monkeypatch.setattr(listening, "FIRST_PORT", taken)
    assert taken < listening.free_port("127.0.0.1") < taken + listening.NUM_PORTS
    monkeypatch.setattr(listening, "NUM_PORTS", 1)
    with pytest.raises(ValueError, match=rf"ports {taken} to {taken} are all in use\..*--port"):
        listening.free_port("127.0.0.1")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.name.invalid", "a b", "\x1b[2J"])
def test_a_host_that_is_not_this_machine_is_named(host):
    with pytest.raises(ValueError, match="`--host` must be an address of this machine") as refused:
        listening.free_port(host, 7860)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(ValueError, match=r"`--port` must be in 1 \.\.\. 65535"):
        listening.free_port("127.0.0.1", port)
