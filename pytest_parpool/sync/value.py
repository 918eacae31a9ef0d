"""A value that all see, and the counter, which is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pytest_parpool.model.sync_requests import AddToValue, CompareAndSetValue, GetValue, OpenValue, SetValue
from pytest_parpool.sync.payloads import pack, unpack
from pytest_parpool.sync.proxy import Proxy
from pytest_parpool.sync.rlock import RLock

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


class ValueLock(RLock):
    """The lock of a value."""

    kind: ClassVar[str] = "the lock of value"
    prefix: ClassVar[str] = "value:"


class Value(Proxy):
    """Anything that can be pickled; who gets it gets a copy.

    Args:
        initial: What it is if nobody has opened it before.
    """

    kind: ClassVar[str] = "value"

    def __init__(self, initial: object = 0) -> None:
        super().__init__()
        self._initial = pack(initial, self.shown)
        self._is_open = False

    def _arguments(self) -> tuple[Any, ...]:
        return (unpack(self._initial),)

    def open(self) -> None:
        """Have it be there from now on; who opens it later does not change it. Otherwise its first use does this."""
        if not self._is_open:
            self._party.ask(OpenValue(self.name, self._initial))
            self._is_open = True

    def get(self) -> Any:
        """Return what it is."""
        self.open()
        return unpack(self._party.ask(GetValue(self.name)))

    def set(self, value: object) -> None:
        """Make it this.

        Raises:
            UnpicklableError: If it cannot be sent.
        """
        payload = pack(value, self.shown)
        self.open()
        self._party.ask(SetValue(self.name, payload))

    @property
    def value(self) -> Any:
        """What it is; as in ``multiprocessing``, ``value.value += 1`` is two steps: do it under ``get_lock``."""
        return self.get()

    @value.setter
    def value(self, value: object) -> None:
        self.set(value)

    def get_lock(self) -> RLock:
        """Return the lock that goes with it; it is re-entrant, and only ``update`` takes it by itself."""
        return ValueLock.of(self._party, self.name, claim=self._claim)

    def add(self, amount: float | str | bytes) -> Any:
        """Add to it in one step, and return what it is then.

        Raises:
            UnfitError: If the two cannot be added; a TypeError.
        """
        payload = pack(amount, self.shown)
        self.open()
        return unpack(self._party.ask(AddToValue(self.name, payload)))

    def compare_and_set(self, expected: object, new: object) -> bool:
        """Make it ``new`` if it is ``expected``, in one step; return whether it was.

        Numbers, strings, bytes, bools and None are compared as in Python, anything else by what it is pickled to.
        """
        payloads = pack(expected, self.shown), pack(new, self.shown)
        self.open()
        return bool(self._party.ask(CompareAndSetValue(self.name, *payloads)))

    def update(self, function: Callable[[Any], Any]) -> Any:
        """Make it what the function, called once with what it is, returns; return that.

        Under ``get_lock``, for which the other methods do not wait: whoever changes it has to use this, or that lock.
        """
        with self.get_lock():
            new = function(self.get())
            self.set(new)
        return new


class Counter(Value):
    """A number to be counted up; an iterator over 0, 1, 2 ..., of which each is given out once."""

    kind: ClassVar[str] = "counter"

    def __init__(self) -> None:
        super().__init__(0)

    def _arguments(self) -> tuple[Any, ...]:
        return ()

    def increment(self, amount: int = 1) -> int:
        """Add to it in one step, and return what it is then."""
        return int(self.add(amount))

    def next(self) -> int:
        """Return what it is, and add one, in one step: nobody else gets this number."""
        return self.increment() - 1

    def __iter__(self) -> Counter:
        return self

    def __next__(self) -> int:
        return self.next()
