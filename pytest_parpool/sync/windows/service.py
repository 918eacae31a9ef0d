"""The way to a run's broker on Windows, where sockets have no names: memory that has one says on which port it listens.

Theory of operation. The memory is there as long as anybody has it mapped, the broker among them; without a broker there
is no port in it. Who wants to start one makes an event of a name that goes with it, which only one process can at a
time, and keeps it until the broker has said that its port is there; if it dies meanwhile, the kernel lets it go.

Whoever can connect has to know the token of the run, which is random and not on any command line.
"""

from __future__ import annotations

import _socket
import marshal
import os
import struct
import subprocess
import sys
from typing import Final

from pytest_parpool.errors import ParpoolError
from pytest_parpool.runtime.memory import map_named
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.windows import kernel
from pytest_parpool.sync.service import Service

_BACKLOG: Final = 512
_LOOPBACK: Final = "127.0.0.1"
_PORT: Final = struct.Struct("=I")

_PROGRAM: Final = (
    "import marshal, sys; own = marshal.load(sys.stdin.buffer); sys.path.insert(0, own['path']); "
    "from pytest_parpool.sync.windows.broker_main import main; main(own)"
)

# Bound at import: tests change what modules have. What starts another interpreter would not be the broker itself.
_EXECUTABLE: Final[str] = getattr(sys, "_base_executable", sys.executable)
_ENVIRONMENT: Final = dict(os.environ)
_PACKAGE_PARENT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class LoopbackService(Service):
    """The address of a run's broker.

    Args:
        token: See ``Service``.
        owner_pid: See ``Service``.
    """

    def __init__(self, token: str, owner_pid: int) -> None:
        super().__init__(token, owner_pid)
        self._name = f"pytest-parpool-broker-{token}"
        self._board = map_named(self._name, _PORT.size)

    def tell_silence(self, runners: tuple[int, ...], at: float) -> None:
        """Do nothing: what processes wait for cannot be told here, so that nothing would come of it."""

    def try_connect(self) -> RawSocket | None:
        """See ``Service``."""
        (port,) = _PORT.unpack_from(self._board)
        if not port:
            return None
        sock = _new_socket()
        try:
            sock.connect((_LOOPBACK, port))
        except ConnectionRefusedError:
            sock.close()
            return None
        except BaseException:
            sock.close()
            raise
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        return sock

    def _try_start(self) -> bool:
        claim = kernel.claim_name(f"{self._name}-start")
        if claim is None:
            return False
        try:
            if sock := self.try_connect():  # Somebody else was faster.
                sock.close()
                return True
            self._check_owner()
            self._start()
        finally:
            kernel.close_handle(claim)
        return True

    def _start(self) -> None:
        """Start the broker, and wait until its port is known."""
        listener = _new_socket()
        process: subprocess.Popen[bytes] | None = None
        try:
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_EXCLUSIVEADDRUSE, 1)
            listener.bind((_LOOPBACK, 0))
            listener.listen(_BACKLOG)
            process = _start_interpreter()
            assert process.stdin is not None
            assert process.stdout is not None
            own = {
                "path": _PACKAGE_PARENT,
                "listener": listener.share(process.pid),
                "port": listener.getsockname()[1],
                "board": self._name,
                "board_bytes": _PORT.size,
                "owner_pid": self.owner_pid,
                "token": self.token,
            }
            process.stdin.write(marshal.dumps(own))
            process.stdin.close()
            if not process.stdout.read(1):
                raise ParpoolError("the broker of shared objects cannot be started: it has ended at once")
        except OSError as error:
            raise ParpoolError(f"the broker of shared objects cannot be started: {error}") from error
        finally:
            listener.close()
            if process is not None:
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        pipe.close()
                process.returncode = 0  # Nobody waits for it, and that is as it should be.


def _start_interpreter() -> subprocess.Popen[bytes]:
    """Start what will be the broker: out of the job of a worker, with which it would end, if that is allowed."""
    options = ["-I", "-S"]
    if sys.dont_write_bytecode:
        options.append("-B")
    if sys.pycache_prefix:
        options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    # Ctrl-C in the console is for the tests, whose teardown may need their locks.
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW

    def start(creationflags: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [_EXECUTABLE, *options, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd=os.path.dirname(_EXECUTABLE),  # The directory of the test may have to go before the broker.
            creationflags=creationflags,
        )

    try:
        return start(flags | subprocess.CREATE_BREAKAWAY_FROM_JOB)
    except PermissionError:  # A job around ours does not allow it.
        return start(flags)


def _new_socket() -> RawSocket:
    return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
