"""The words in which people are told who holds what, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_parpool.model.sync_requests import Origin
from pytest_parpool.policy.broker.calls import Call, Hold


def who(name: str, origin: Origin) -> str:
    """Name somebody, as ``gw1, in tests/test_a.py::test_x (call) at tests/test_a.py:12``."""
    place = place_of(origin)
    return f"{name}, {place}" if place else name


def place_of(origin: Origin) -> str:
    """Name a place, as ``in tests/test_a.py::test_x (call) at tests/test_a.py:12``; empty if nothing is known."""
    test = f"in {origin.test}" if origin.test else ""
    where = f"at {origin.where}" if origin.where else ""
    return " ".join(part for part in (test, where) if part)


def asker(call: Call) -> str:
    """Name who asks."""
    return who(call.party.name, call.origin)


def holder(hold: Hold, now: float) -> str:
    """Name who has something, and since when."""
    return f"{who(hold.name, hold.origin)}, since {seconds(now - hold.since)}"


def holders(holds: Iterable[Hold], now: float) -> str:
    """Name all who have something."""
    return "; ".join(holder(hold, now) for hold in holds)


def waiters(calls: Iterable[Call], now: float) -> str:
    """Name all who wait, and since when."""
    return "; ".join(f"{asker(call)}, since {seconds(now - call.since)}" for call in calls)


def seconds(duration: float) -> str:
    """Say how long."""
    # The clock of a note is the same, but the note was written by another processor.
    return f"{max(0.0, duration):.1f} s"


def ahead(calls: Sequence[Call]) -> str:
    """Say how many are served before, to be put behind another text; empty if nobody is."""
    if not calls:
        return ""
    return "; 1 other waits before it" if len(calls) == 1 else f"; {len(calls)} others wait before it"


def death(name: str, how: str) -> str:
    """Say that somebody died, and how, if that is known."""
    return f"{name} died ({how})" if how else f"{name} died"


def inheritance(hold: Hold, how: str, title: str) -> str:
    """Say from whom something was inherited: what it protects may be half done."""
    place = place_of(hold.origin)
    taken = f", taken {place}" if place else ""
    protected = title.split(" ", 1)[0]
    return f"{death(hold.name, how)} while it held {title}{taken}; what the {protected} protects may be half done"


def mismatch(title: str, what: str, before: object, now: object) -> str:
    """Say that an object was opened with something else before."""
    return f"{title} has {what} {before!r}, and was now asked for with {now!r}; give the same everywhere"


def cycle(edges: Iterable[tuple[Call, Hold]], now: float) -> str:
    """Describe a deadlock: one line for each who waits, and for whom."""
    return "\n".join(
        f"{asker(call)}, waits for {call.kind.title(call)}, {hold.role} {holder(hold, now)}" for call, hold in edges
    )
