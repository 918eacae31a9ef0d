"""What this process asks the broker: finds the connection for it, waits for the answer, and returns or raises it.

``thread_connections`` has the connections of its threads, ``awaiting`` those of its event loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pytest_parpool.errors import ParpoolError
from pytest_parpool.model.sync_requests import Origin, Request, Status
from pytest_parpool.runtime.sync_codec import Abandon
from pytest_parpool.sync.caller import find_line
from pytest_parpool.sync.connection import Connection, ConnectionLostError, telling
from pytest_parpool.sync.errors import (
    BrokenObjectError,
    DeadlockError,
    LockTimeoutError,
    MismatchError,
    NotHeldError,
    UnfitError,
)
from pytest_parpool.sync.holds import Hold
from pytest_parpool.sync.service import Service
from pytest_parpool.sync.system import System
from pytest_parpool.sync.thread_connections import ThreadConnections

if TYPE_CHECKING:
    from pytest_parpool.sync.awaiting import LoopConnections

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True

_ERRORS: Final[dict[Status, type[ParpoolError]]] = {
    Status.TIMED_OUT: LockTimeoutError,
    Status.DEADLOCK: DeadlockError,
    Status.NOT_HELD: NotHeldError,
    Status.BROKEN: BrokenObjectError,
    Status.MISMATCH: MismatchError,
    Status.UNFIT: UnfitError,
}


class Connections(ThreadConnections):
    """This process's ways to the broker. Used by all of its threads.

    Args:
        service: See ``ThreadConnections``.
        name: See ``ThreadConnections``.
        forget_holds: See ``ThreadConnections``.

    Attributes:
        test: The test under way, with its phase; what runs instead; or empty.
    """

    def __init__(self, service: Service, name: str, forget_holds: Callable[[], None]) -> None:
        super().__init__(service, name, forget_holds)
        self.test = ""
        self._of_loops: LoopConnections | None = None

    def begin_anew(self) -> None:
        """See ``ThreadConnections.begin_anew``."""
        if self._of_loops is not None:
            self._of_loops.close_copies()
            self._of_loops = None
        super().begin_anew()

    def ask(self, request: Request | Abandon, hold: Hold | None = None, *, fds: list[int] | None = None) -> Any:
        """Ask the broker, wait for the answer, and return its value. May take as long as the request's timeout.

        Args:
            request: What is asked.
            hold: What this process holds once it is granted: entered in its table then, and surely not if this is left
                by an exception, of a signal handler for example; what was granted is undone then.
            fds: Where descriptors are put that come with the answer; the caller owns them.

        Raises:
            LockTimeoutError: If the time was over; likewise the other classes of ``sync.errors``.
            BrokerLostError: If the broker is not there any more.
        """
        origin = self._origin(hold)
        idle = self._idle()
        connection: Connection | None = None
        try:
            connection = self._take(idle)
            reply = connection.ask(origin, request)
            if hold is not None and reply.status is Status.DONE:
                hold.enter()
            if fds is not None:
                fds += connection.take_fds()
            idle.append(connection)
        except ConnectionLostError:
            raise self._lost(connection) from None
        except BaseException:
            if hold is not None:
                hold.leave()
            if connection is not None:
                self._abandon(connection)
                self._give_up(idle, connection)
            raise
        finally:
            # A traceback would keep them for longer than the thread is there, and in a cycle.
            del idle, connection
        if reply.status is Status.DONE:
            return reply.value
        raise _ERRORS[reply.status](reply.value)

    async def ask_async(self, request: Request, hold: Hold | None = None) -> Any:
        """Ask as ``ask`` does, but let the loop's other tasks go on until the answer is there.

        A task speaks with the broker in two ways, its loop's and its thread's. So that nothing overtakes anything,
        whatever it says on one of them is answered before it goes on: also that it abandons what it was cancelled in.

        Raises:
            RuntimeError: If there is no running event loop of ``asyncio``.
        """
        from pytest_parpool.sync.awaiting import LoopConnection, LoopConnections

        origin = self._origin(hold)
        if System.getpid() != self.pid:
            self.begin_anew()
        if self._of_loops is None:
            self._of_loops = LoopConnections(lambda: self._open_as(LoopConnection), self._withdraw)
        connection: LoopConnection | None = None
        number = 0
        try:
            connection = self._of_loops.of_running_loop()
            number = connection.next_number()
            reply = await connection.send(number, origin, request, hold)
        except BaseException as error:
            if hold is not None:
                hold.leave()
            if connection is not None:
                connection.forget(number)
                self._withdraw(Abandon(connection.connection, number))
            if isinstance(error, ConnectionLostError):
                raise self._lost(connection) from None
            raise
        if reply.status is Status.DONE:
            return reply.value
        raise _ERRORS[reply.status](reply.value)

    def end_closed_loops(self) -> None:
        """Give up what tasks of loops that are closed still waited for."""
        if self._of_loops is not None:
            self._of_loops.end_closed_loops()

    def _withdraw(self, abandon: Abandon) -> None:
        try:
            self.ask(abandon)
        except ParpoolError:  # Then there is nobody to be told.
            pass

    def tell(self, request: Request) -> None:
        """Tell the broker something to which no answer is needed.

        Raises:
            BrokerLostError: If the broker is not there any more.
        """
        self.send(telling(request))

    def send(self, data: bytes, sent: list[int] | None = None) -> None:
        """Tell the broker what was made ready before.

        Args:
            data: As ``telling`` returns it.
            sent: Is not empty any more once it was sent, also if this is left by an exception.

        Raises:
            BrokerLostError: If the broker is not there any more.
        """
        idle = self._idle()
        connection: Connection | None = None
        try:
            connection = self._take(idle)
            connection.tell(data, [] if sent is None else sent)
            idle.append(connection)
        except ConnectionLostError:
            raise self._lost(connection) from None
        except BaseException:
            if connection is not None:
                self._give_up(idle, connection)
            raise

    def _origin(self, hold: Hold | None) -> Origin:
        """Return who asks: whoever will hold it."""
        if hold is not None:
            return Origin(hold.lane, hold.test, hold.where)
        return Origin(self.lane(), self.test, find_line())
