"""The way to a run's broker on POSIX: a socket with a name, and a process that is nobody's child.

Theory of operation. Who wants to connect tries that first. If nobody listens, it tries to bind the address. Of several
one succeeds, and starts the broker with the listening socket as its inheritance; the others connect to that socket
meanwhile, and wait in its backlog until the broker accepts them. If the starter is killed in between, they find their
connection closed without a greeting, and begin anew.

The broker must be nobody's child: a test may count its children, or wait for all of them. So the interpreter that is
started forks at once, before it imports anything, and its parent ends; that takes the few milliseconds of an
interpreter's start, which have to be waited for anyway. It is started by ``posix_spawn``, which runs no after-fork
hooks, does not care for threads, and does not copy this process's page tables. It starts with all signals blocked, and
in a process group of its own, so that nothing typed at a terminal reaches it.
"""

from __future__ import annotations

import _socket
import errno
import os
import signal
import sys
from typing import Final

from pytest_parpool.errors import ParpoolError
from pytest_parpool.runtime.framing import frame
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import Silence, encode_opening
from pytest_parpool.sync.service import Service
from pytest_parpool.sync.system import System

_BACKLOG: Final = 512
_LISTENER_FD: Final = 3

_PROGRAM: Final = (
    "import posix, sys; posix.fork() and posix._exit(0); sys.path.insert(0, sys.argv[1]); "
    "from pytest_parpool.sync.broker_main import main; main()"
)

# Bound at import: tests mock modules, and change what is in them.
_EXECUTABLE: Final = sys.executable
_ENVIRONMENT: Final = dict(os.environ)
_ALL_SIGNALS: Final = tuple(signal.valid_signals())
_PACKAGE_PARENT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class UnixService(Service):
    """The address of a run's broker.

    Args:
        token: See ``Service``.
        owner_pid: See ``Service``.
        has_abstract_names: Whether sockets can have names that are no files; given in tests only.
    """

    def __init__(
        self, token: str, owner_pid: int, *, has_abstract_names: bool = sys.platform.startswith("linux")
    ) -> None:
        super().__init__(token, owner_pid)
        self._folder = ""
        if has_abstract_names:
            self.address = f"\0pytest-parpool-{System.getuid()}-{token}"
        else:
            # Not where TMPDIR points to: it is not the same in all processes, and a socket's path has to be short.
            self._folder = f"/tmp/parpool-{System.getuid()}-{token}"
            self.address = os.path.join(self._folder, "broker")

    def tell_silence(self, runners: tuple[int, ...], at: float) -> None:
        """See ``Service``."""
        sock = _new_socket()
        try:
            sock.setblocking(False)
            sock.connect(self.address)
            sock.send(frame(encode_opening(Silence(self.token, runners, at))))
        except OSError:  # There is none, or too many want to speak with it: there will be another time.
            pass
        finally:
            sock.close()

    def try_connect(self) -> RawSocket | None:
        """See ``Service``."""
        sock = _new_socket()
        try:
            sock.connect(self.address)
        except (ConnectionRefusedError, FileNotFoundError):
            sock.close()
            return None
        except BaseException:
            sock.close()
            raise
        return sock

    def _try_start(self) -> bool:
        listener = self._try_bind()
        if listener is None:
            return False
        try:
            self._check_owner()
            self._start(listener)
        finally:
            listener.close()
        return True

    def _try_bind(self) -> RawSocket | None:
        """Return a listening socket, or None if somebody else has the address."""
        if self._folder:
            self._make_folder()
        sock = _new_socket()
        try:
            sock.bind(self.address)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRINUSE:
                return None
            raise ParpoolError(f"the broker of shared objects cannot be started: {error}") from error
        except BaseException:
            sock.close()
            raise
        return sock

    def _make_folder(self) -> None:
        """Make the folder of the socket, where it needs one; nobody else may write there.

        Raises:
            ParpoolError: If somebody else has made it.
        """
        try:
            System.mkdir(self._folder, 0o700)
        except FileExistsError:
            status = System.lstat(self._folder)
            if status.st_uid != System.getuid() or status.st_mode & 0o077:
                raise ParpoolError(f"the folder '{self._folder}' belongs to somebody else") from None

    def _start(self, listener: RawSocket) -> None:
        """Start the broker, and wait until it is nobody's child any more."""
        options = ["-I", "-S"]
        if sys.dont_write_bytecode:
            options.append("-B")
        if sys.pycache_prefix:
            options += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
        arguments = [_PACKAGE_PARENT, str(_LISTENER_FD), str(self.owner_pid), self.token]
        try:
            pid = System.posix_spawn(
                _EXECUTABLE,
                [_EXECUTABLE, *options, "-c", _PROGRAM, *arguments],
                _ENVIRONMENT,
                # In this order: the listener may have one of the first three numbers.
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), _LISTENER_FD),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setpgroup=0,
                setsigmask=_ALL_SIGNALS,
            )
        except OSError as error:
            raise ParpoolError(f"the broker of shared objects cannot be started: {error}") from error
        try:
            _reap(pid)
        except BaseException:  # A signal's; without a second attempt the child would stay where tests can see it.
            _reap(pid)
            raise


def _reap(pid: int) -> None:
    try:
        System.waitpid(pid, 0)
    except ChildProcessError:  # A test waits for all children in another thread, or ignores SIGCHLD.
        pass


def _new_socket() -> RawSocket:
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
