"""What a kind of shared objects is: one class, which has all objects of its kind."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_parpool.model.sync_requests import Status
from pytest_parpool.policy.broker.calls import Call, Hold
from pytest_parpool.policy.broker.parties import Party

if TYPE_CHECKING:
    from pytest_parpool.policy.broker.desk import Desk

# Its second argument is the call's request, which is of the type it is listed under.
Handler: TypeAlias = Callable[[Call, Any], None]


class Obstacles:
    """What a call waits for, as far as known.

    Attributes:
        holds: Who is in its way; empty if not known, or if anybody might help.
        is_one_enough: Whether it can go on as soon as one of them lets go; else all of them have to.
    """

    __slots__ = ("holds", "is_one_enough")

    def __init__(self, holds: Sequence[Hold] = (), *, is_one_enough: bool = False) -> None:
        self.holds = holds
        self.is_one_enough = is_one_enough


class ObjectKind(abc.ABC):
    """All objects of one kind, by their names.

    A call that waits is in one ``WaitingList`` of the kind's. It leaves it when it is answered, and when it is
    withdrawn; then ``forget`` is called, because others may be able to go on.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @abc.abstractmethod
    def handlers(self) -> Mapping[type[Any], Handler]:
        """Return what is done for each type of request."""

    def title(self, call: Call) -> str:
        """Name what is waited for, as ``lock 'db'``. Called for kinds with obstacles."""
        raise NotImplementedError(call.request)  # pragma: no cover - never asked of the others

    def explain(self, call: Call) -> str:
        """Say why a call is not served, for somebody who has waited too long. Called for kinds that make wait."""
        raise NotImplementedError(call.request)  # pragma: no cover - never asked of the others

    def describe_wait(self, call: Call) -> str:
        """Say what a call does that waits, to be put behind who asks. Called for kinds that make wait."""
        return f"waits: {self.explain(call)}"

    def obstacles(self, call: Call) -> Obstacles:
        """Return who is in the way of a call that waits."""
        return Obstacles()

    def is_current(self, call: Call) -> bool:
        """Whether ``obstacles`` tells how it is now. If not, that is being asked; the answer is looked at again."""
        return True

    def forget_name(self, name: str) -> None:  # noqa: B027 - what nobody can do without a name has no objects
        """Forget the object of this name, which nobody will ask for again, if there is one and nobody waits for it."""

    def forget(self, call: Call) -> None:  # noqa: B027 - nobody is affected, as a rule
        """Go on without a call that was not served, and does not wait any more."""

    def time_out(self, call: Call) -> None:
        """Answer a call that has waited for as long as it may; it may still be in its list, or never have been."""
        self._desk.refuse(call, Status.TIMED_OUT, self.explain(call))
        self.forget(call)

    def lose(self, call: Call, how: str) -> None:
        """Go on without a call whose party died while it waited; how it died is for messages."""
        self.forget(call)

    def bury(self, party: Party, how: str) -> None:  # noqa: B027 - many objects are nobody's
        """Free all that a party held; its calls are gone already."""
