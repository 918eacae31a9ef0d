"""Where the broker's process begins: in a fresh interpreter, started by ``service``, and nobody's child by now.

All signals that could end it are blocked from its birth on: at a terminal, Ctrl-C is for the tests, whose teardown may
need their locks.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Final

from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.sync.broker_process import BrokerProcess

_OPEN_MAX: Final = 10240  # of macOS
_FIRST_FOREIGN_FD: Final = 4  # behind the standard streams and the listener


def main() -> None:
    """Be the broker. The listener's descriptor, the run's process id and its token are the last three arguments."""
    listener_fd, owner_pid, token = sys.argv[-3:]
    os.setsid()
    os.chdir("/")  # The directory may have to go before us.
    _close_foreign_fds()
    _raise_fd_limit()
    try:
        process = BrokerProcess(RawSocket(fileno=int(listener_fd)), int(owner_pid), token)
    except ProcessLookupError:  # The run is over already.
        return
    process.live()
    address = process.address
    if address.startswith("/"):  # Elsewhere it has no file.
        os.unlink(address)
        os.rmdir(os.path.dirname(address))


def _raise_fd_limit() -> None:
    """Allow ourselves as many descriptors as we may have: every thread of every process needs one of ours."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # On macOS there is no limit, as a rule, but one has to be named, which is not to be higher (setrlimit(2)).
    wanted = max(now, _OPEN_MAX) if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _close_foreign_fds() -> None:
    """Close what we have inherited by accident: somebody may wait for the end of a pipe."""
    for name in os.listdir("/dev/fd"):
        if int(name) >= _FIRST_FOREIGN_FD:
            try:
                os.close(int(name))
            except OSError:  # It was that of the listing.
                pass
