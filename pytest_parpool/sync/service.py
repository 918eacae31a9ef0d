"""Where a run's broker is, and how it is started by whoever needs it first.

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
from pytest_parpool.runtime.sync_codec import Goodbye, Silence, encode_opening
from pytest_parpool.sync.deaths import is_alive
from pytest_parpool.sync.errors import BrokerLostError
from pytest_parpool.sync.system import System

# Many times what a start takes on a busy machine.
_START_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.001
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


class Service:
    """The address of a run's broker. Owns nothing: the broker ends by itself.

    Args:
        token: Random letters and digits that name the run.
        owner_pid: The run's own process, with which the broker ends.
        has_abstract_names: Whether sockets can have names that are no files; given in tests only.
    """

    def __init__(
        self, token: str, owner_pid: int, *, has_abstract_names: bool = sys.platform.startswith("linux")
    ) -> None:
        self.token = token
        self.owner_pid = owner_pid
        self._folder = ""
        if has_abstract_names:
            self.address = f"\0pytest-parpool-{System.getuid()}-{token}"
        else:
            # Not where TMPDIR points to: it is not the same in all processes, and a socket's path has to be short.
            self._folder = f"/tmp/parpool-{System.getuid()}-{token}"
            self.address = os.path.join(self._folder, "broker")

    def connect(self) -> RawSocket:
        """Return a new connection, blocking; starts the broker if there is none. The caller owns it.

        Raises:
            BrokerLostError: If the process with which it would end has ended.
            ParpoolError: If it cannot be started.
        """
        deadline = System.monotonic() + _START_SECONDS
        while True:
            if sock := self.try_connect():
                return sock
            if listener := self._try_bind():
                try:
                    self._check_owner()
                    self._start(listener)
                finally:
                    listener.close()
                continue
            if System.monotonic() > deadline:
                raise ParpoolError(f"the broker of shared objects did not answer within {_START_SECONDS:.0f} s")
            System.sleep(_RETRY_SECONDS)  # Somebody has bound the address, and will listen in a moment.

    def say_goodbye(self) -> None:
        """Have the broker end, if there is one. Only the run's own process may say it."""
        sock = self.try_connect()
        if sock is None:
            return
        try:
            sock.send(frame(encode_opening(Goodbye(self.token))))
        except OSError:  # It has ended just now.
            pass
        finally:
            sock.close()

    def tell_silence(self, runners: tuple[int, ...], at: float) -> None:
        """Have the broker see whether all of the run's workers wait for each other, if there is one. Never blocks.

        Only the run's own process may say it.

        Args:
            runners: The process ids of all workers that are alive.
            at: When they were, on the machine's monotonic clock.
        """
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
        """Return a new connection, blocking, or None if there is no broker. The caller owns it."""
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

    def _check_owner(self) -> None:
        """Start no broker for somebody who has ended: it would end at once, whoever asks for it, and as often."""
        if not is_alive(self.owner_pid):
            raise BrokerLostError(
                f"process {self.owner_pid}, to which these shared objects belong, has ended, and they with it"
            )

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
