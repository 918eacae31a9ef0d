"""Finds the sockets that forked workers would share, where two processes at one end disturb each other.

A connection to a database that was opened at import is one connection, also if four workers write to it. A listening
socket is one, also if each worker believes that its own server answers there. In a spawned worker each is its own.

Not among them are sockets that were there before the watch began, as a CI's or a debugger's: nothing of the tests' uses
them. Nor are pairs without names, which event loops wake themselves with, and unix sockets that only send (the system
log's).
"""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Collection

from pytest_parpool.model.records import Record, record
from pytest_parpool.runtime.sockets import FD_DIRECTORY, RawSocket, find_sockets

# The address of our broker. A process that inherits a connection to it opens a new one.
_OWN_ADDRESS = "@pytest-parpool-"

_FAMILIES: dict[int, str] = {}
if sys.platform == "linux":
    _FAMILIES |= {_socket.AF_INET: "INET", _socket.AF_INET6: "INET6", _socket.AF_UNIX: "UNIX"}
    # As what Python takes a descriptor. If a default timeout is set, it makes the descriptor non-blocking for everybody
    # who uses it, unless it is told that it is so already (``init_sockobject`` in CPython's socketmodule.c).
    _TYPE = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK
else:
    _TYPE = -1


@record
class Endpoint(Record):
    """What the system says of a socket.

    Attributes:
        family: Its name without the prefix: ``INET``, ``INET6`` or ``UNIX``.
        can_only_send: Whether it keeps messages apart and has no name to be answered to.
        is_listening: Whether others connect to it.
        local: Its own address, as written for people; "" if it has none.
        peer: The other end's; "" if it has none.
    """

    family: str
    can_only_send: bool
    is_listening: bool
    local: str
    peer: str


def scan(known: Collection[int], accepted_fds: Collection[int], *, directory: str = FD_DIRECTORY) -> tuple[str, ...]:
    """Return what would be shared, each to be read behind "the".

    Costs one call per descriptor, if no socket was opened.

    Args:
        known: Inodes of sockets that do not count.
        accepted_fds: Descriptors of others.
        directory: Of this process's descriptors.
    """
    if sys.platform != "linux":
        return ()
    found = list(find_sockets(directory))
    settled = {*known, *(inode for fd, inode in found if fd in accepted_fds)}
    # Several descriptors may be of one socket.
    opened = {inode: fd for fd, inode in reversed(found) if inode not in settled}
    endpoints = (_look(fd) for fd in sorted(opened.values()))
    shared = (describe(endpoint) for endpoint in endpoints if endpoint is not None)
    return tuple(text for text in shared if text is not None)


def describe(endpoint: Endpoint) -> str | None:
    """Return what a socket is, with its addresses, if two processes would disturb each other on it; else None."""
    if endpoint.family not in ("INET", "INET6", "UNIX") or endpoint.can_only_send:
        return None
    if any(address.startswith(_OWN_ADDRESS) for address in (endpoint.local, endpoint.peer)):
        return None
    if endpoint.peer:
        origin = f" from {endpoint.local}" if endpoint.local else ""
        return f"connection{origin} to {endpoint.peer}"
    if endpoint.is_listening:
        return f"listening socket at {endpoint.local}"
    if endpoint.local:
        # A server's end of a unix connection has the server's name, and its client usually none.
        return f"socket at {endpoint.local}"
    return None


def _look(fd: int) -> Endpoint | None:
    try:
        # Not ``socket.socket``, which plugins that forbid it replace.
        sock = RawSocket(-1, _TYPE, -1, os.dup(fd))
    except OSError:  # Closed meanwhile.
        return None
    try:
        return _ask(sock)
    except OSError:  # Neither is any of its addresses known to Python.
        return None
    finally:
        sock.close()


def _ask(sock: RawSocket) -> Endpoint:
    family = _FAMILIES.get(sock.family, "")
    is_datagram = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE) == _socket.SOCK_DGRAM
    local = _written(sock.getsockname())
    try:
        peer = _written(sock.getpeername())
    except OSError:  # Not connected.
        peer = ""
    return Endpoint(
        family=family,
        can_only_send=family == "UNIX" and is_datagram and not local,
        is_listening=bool(sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)),
        local=local,
        peer=peer,
    )


def _written(address: object) -> str:
    """Return an address as people write it; "" for that of a socket which was not bound."""
    match address:
        case (str(host), int(port), *_):
            if port == 0:
                return ""
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case bytes():  # Abstract: not a file. As ss(8) writes it.
            return "@" + address.lstrip(b"\0").decode(errors="backslashreplace") if address else ""
        case str():
            return address
        case _:  # Of a family that is of no interest.
            return ""
