"""Where a run's broker is, and that it is started by whoever needs it first. See ``unix_service`` for how."""

from __future__ import annotations

import abc
from typing import Final

from pytest_parpool.errors import ParpoolError
from pytest_parpool.runtime.framing import frame
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.runtime.sync_codec import Goodbye, encode_opening
from pytest_parpool.sync.deaths import is_alive
from pytest_parpool.sync.errors import BrokerLostError
from pytest_parpool.sync.system import System

# Many times what a start takes on a busy machine.
_START_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.001


class Service(abc.ABC):
    """The way to a run's broker. Owns nothing: the broker ends by itself.

    Args:
        token: Random letters and digits that name the run.
        owner_pid: The run's own process, with which the broker ends.
    """

    def __init__(self, token: str, owner_pid: int) -> None:
        self.token = token
        self.owner_pid = owner_pid

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
            if self._try_start():
                continue
            if System.monotonic() > deadline:
                raise ParpoolError(f"the broker of shared objects did not answer within {_START_SECONDS:.0f} s")
            System.sleep(_RETRY_SECONDS)  # Somebody starts it, and it will listen in a moment.

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

    @abc.abstractmethod
    def tell_silence(self, runners: tuple[int, ...], at: float) -> None:
        """Have the broker see whether all of the run's workers wait for each other, if there is one. Never blocks.

        Only the run's own process may say it.

        Args:
            runners: The process ids of all workers that are alive.
            at: When they were, on the machine's monotonic clock.
        """

    @abc.abstractmethod
    def try_connect(self) -> RawSocket | None:
        """Return a new connection, blocking, or None if there is no broker. The caller owns it."""

    @abc.abstractmethod
    def _try_start(self) -> bool:
        """Start the broker, and return whether that was done; not if somebody else does it.

        Raises:
            BrokerLostError: If the process with which it would end has ended.
            ParpoolError: If it cannot be started.
        """

    def _check_owner(self) -> None:
        """Start no broker for somebody who has ended: it would end at once, whoever asks for it, and as often."""
        if not is_alive(self.owner_pid):
            raise BrokerLostError(
                f"process {self.owner_pid}, to which these shared objects belong, has ended, and they with it"
            )
