"""Which sockets two processes would disturb each other on, with real ones."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_parpool.compat import open_sockets
from pytest_parpool.compat.open_sockets import Endpoint, describe
from pytest_parpool.runtime.sockets import socket_inodes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")

Sockets = contextlib.ExitStack


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    """Closes what is given to it."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def scan() -> Callable[..., tuple[str, ...]]:
    """Look for sockets that were opened since the test began."""
    known = socket_inodes()

    def scan(accepted_fds: tuple[int, ...] = ()) -> tuple[str, ...]:
        return open_sockets.scan(known, accepted_fds)

    return scan


def listening(sockets: Sockets) -> socket.socket:
    """Return a server's socket."""
    server = sockets.enter_context(socket.socket())
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def written(address: tuple[str, int]) -> str:
    """Return an address as users see it."""
    return f"{address[0]}:{address[1]}"


def test_a_connection_is_named_with_both_ends(sockets: Sockets, scan: Callable[..., tuple[str, ...]]) -> None:
    """A server in the same process has a socket for it too."""
    server = listening(sockets)
    client = sockets.enter_context(socket.create_connection(server.getsockname()))
    here, there = written(client.getsockname()), written(server.getsockname())
    assert scan() == (f"listening socket at {there}", f"connection from {here} to {there}")


def test_datagrams_that_can_be_received_count(sockets: Sockets, scan: Callable[..., tuple[str, ...]]) -> None:
    """Who of two processes gets one is chance."""
    udp = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    assert scan() == ()
    udp.bind(("127.0.0.1", 0))
    assert scan() == (f"socket at {written(udp.getsockname())}",)


def test_ipv6_addresses_are_in_brackets(sockets: Sockets, scan: Callable[..., tuple[str, ...]]) -> None:
    """Else the port would look like a part of them."""
    server = sockets.enter_context(socket.socket(socket.AF_INET6))
    try:
        server.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    server.listen()
    assert scan() == (f"listening socket at [::1]:{server.getsockname()[1]}",)


@pytest.mark.parametrize("abstract", [False, True])
def test_unix_sockets_with_a_name_count(
    sockets: Sockets, scan: Callable[..., tuple[str, ...]], tmp_path: Path, abstract: bool
) -> None:
    """The name is a path, or begins with a zero byte, which is written as an at sign."""
    name = f"parpool-test-{os.getpid()}"
    path = f"\0{name}" if abstract else os.path.relpath(tmp_path / "listener")  # A path has 107 bytes at most.
    shown = f"@{name}" if abstract else path
    server = sockets.enter_context(socket.socket(socket.AF_UNIX))
    server.bind(path)
    server.listen()
    client = sockets.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(path)
    assert scan() == (f"listening socket at {shown}", f"connection to {shown}")


def test_pairs_and_event_loops_do_not_count(sockets: Sockets, scan: Callable[..., tuple[str, ...]]) -> None:
    """A loop wakes itself with a pair of sockets that have no names."""
    for end in socket.socketpair():
        sockets.enter_context(end)
    loop = asyncio.new_event_loop()
    sockets.callback(loop.close)
    sockets.enter_context(socket.socket())
    assert scan() == ()


def test_unix_sockets_that_only_send_do_not_count(
    sockets: Sockets, scan: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    """The system log gets whole messages from any number of processes."""
    path = os.path.relpath(tmp_path / "log")
    log = sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    log.bind(path)
    handler = sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    handler.connect(path)
    assert scan() == (f"socket at {path}",)


def test_what_was_there_or_is_accepted_does_not_count(sockets: Sockets, scan: Callable[..., tuple[str, ...]]) -> None:
    """A socket is known by its inode, so that its duplicates, as output capture makes them, are known too."""
    server = listening(sockets)
    duplicate = os.dup(server.fileno())
    sockets.callback(os.close, duplicate)
    assert len(scan()) == 1
    assert scan((duplicate,)) == ()
    assert open_sockets.scan(socket_inodes(), ()) == ()


def test_looking_changes_nothing(
    sockets: Sockets, scan: Callable[..., tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a default timeout set, Python would make a descriptor non-blocking by making an object for it."""
    server = listening(sockets)
    before = os.listdir("/proc/self/fd")
    assert os.get_blocking(server.fileno())
    socket.setdefaulttimeout(5)
    try:
        assert len(scan()) == 1
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(server.fileno())
    assert os.listdir("/proc/self/fd") == before


def test_where_there_is_no_proc_nothing_is_found(sockets: Sockets, tmp_path: Path) -> None:
    """A hardened system keeps it to itself; the fork does not depend on it."""
    listening(sockets)
    absent = str(tmp_path / "absent")
    assert socket_inodes(absent) == frozenset()
    assert open_sockets.scan((), (), directory=absent) == ()


def test_a_descriptor_that_was_closed_meanwhile_is_passed_over(tmp_path: Path) -> None:
    """Another thread may close it between the look at the directory and at the descriptor."""
    (tmp_path / "1000000").touch()
    assert socket_inodes(str(tmp_path)) == frozenset()


def test_our_own_connections_do_not_count() -> None:
    """A process that inherits a connection to the broker of shared objects opens a new one."""
    ours = Endpoint("UNIX", can_only_send=False, is_listening=False, local="", peer="@pytest-parpool-1000-0123")
    assert describe(ours) is None
    assert describe(ours.replace(peer="@dbus-0123")) == "connection to @dbus-0123"


def test_other_families_do_not_count() -> None:
    """The kernel's own, and virtual machines', have no two ends that tests would mix up."""
    assert describe(Endpoint("", can_only_send=False, is_listening=False, local="", peer="")) is None
