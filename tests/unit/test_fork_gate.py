"""Who forks waits for threads to stand still, and they wait for the fork."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_parpool.workload.fork_gate import ForkGate
from tests.sharing import DEADLINE_SECONDS, Child, until


class Busy:
    """A thread that does something until it is told to rest, and then goes on.

    Args:
        gate: It passes.
    """

    def __init__(self, gate: ForkGate) -> None:
        self.gate = gate
        self.may_rest = threading.Event()
        self.is_busy = threading.Event()
        self.has_gone_on = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.is_busy.wait(DEADLINE_SECONDS)

    def _run(self) -> None:
        self.gate.go_on()
        self.is_busy.set()
        self.may_rest.wait(DEADLINE_SECONDS)
        self.gate.rest()
        self.gate.go_on()
        self.has_gone_on.set()
        self.gate.rest()

    def join(self) -> None:
        """Wait for its end."""
        self.may_rest.set()
        self.thread.join(DEADLINE_SECONDS)
        assert not self.thread.is_alive()


def when_closed(gate: ForkGate, act: Callable[[], None]) -> threading.Thread:
    """Have something done as soon as the gate is closed."""

    def run() -> None:
        until(lambda: gate._is_closed, "the gate is open")
        act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_it_waits_for_who_is_busy() -> None:
    """The block begins when the last one rests, and nobody goes on before its end."""
    gate = ForkGate()
    busy = Busy(gate)
    thread = when_closed(gate, busy.may_rest.set)
    with gate.closed(DEADLINE_SECONDS) as is_quiet:
        assert is_quiet
        assert busy.may_rest.is_set()
        assert not busy.has_gone_on.is_set()
    assert busy.has_gone_on.wait(DEADLINE_SECONDS)
    busy.join()
    thread.join(DEADLINE_SECONDS)


def test_patience_has_an_end() -> None:
    """Who stays busy is told of, and the gate opens again."""
    gate = ForkGate()
    busy = Busy(gate)
    with gate.closed(0.001) as is_quiet:
        assert not is_quiet
    busy.join()
    with gate.closed(0.0) as is_quiet:
        assert is_quiet


def test_who_forks_may_be_busy() -> None:
    """A callback that makes a pool does not wait for itself."""
    gate = ForkGate()
    gate.go_on()
    with gate.closed(0.0) as is_quiet:
        assert is_quiet


def test_a_forked_copy_begins_anew() -> None:
    """It has none of the threads, and a gate that is open."""
    gate = ForkGate()
    busy = Busy(gate)

    def pass_gate() -> bool:
        gate.begin_anew()
        gate.go_on()
        with gate.closed(0.0) as is_quiet:
            return is_quiet

    with gate.closed(0.001):
        child = Child(pass_gate)
    assert child.result() is True
    busy.join()
