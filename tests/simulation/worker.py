"""A simulated worker: what `pytest_parpool.worker` says and hears, without processes, channels or tests.

A generator is its life. It stops at every place where something may come between: a command, a signal, death. What was
posted and not flushed dies with it; what was flushed arrives, in order, whenever the simulator delivers it.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from collections.abc import Callable, Generator, Iterator

from pytest_parpool.model.exits import Exit
from pytest_parpool.model.ids import ItemIndex, WorkerId
from pytest_parpool.model.messages import (
    Asked,
    Broken,
    Command,
    Drain,
    Draining,
    Event,
    ExitAsked,
    Finished,
    Interrupted,
    Left,
    Proceed,
    Ready,
    Recalled,
    Reported,
    Run,
    Started,
    StopAsked,
    Troubled,
    Wait,
)

LOCATION = ("test_simulated.py", 0, "test")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How probable it is, at each opportunity, that something goes wrong in a worker of this run.

    Attributes:
        is_stop_watched: Whether failed reports are waited with until they are judged.
        is_reporting_late: Whether an item's reports come behind its teardown, as plugins that rerun tests have it.
        fails: A phase fails.
        dies: The process ends.
        breaks: ``pytest.exit``, an internal error, KeyboardInterrupt, a stop asked for, or a loop that ends too early.
        hangs: An item, or the last teardown, never ends.
    """

    is_stop_watched: bool
    is_reporting_late: bool
    fails: float
    dies: float
    breaks: float
    hangs: float


class SimulatedWorker:
    """One process.

    Args:
        worker: Its slot.
        habits: What may happen to it.
        source: Says what does.
        begins: Called with each item whose start was told, before anything else of it happens.
    """

    def __init__(
        self,
        worker: WorkerId,
        habits: Habits,
        source: random.Random,
        begins: Callable[[ItemIndex], None],
    ) -> None:
        self.id = worker
        self.down: collections.deque[Command] = collections.deque()
        self.up: collections.deque[Event] = collections.deque()
        self.exit: Exit | None = None
        self._habits = habits
        self._chance = source.random
        self._begins = begins
        self._posted: list[Event] = []
        self._items: list[ItemIndex] = []
        self._position = 0
        self._claimed = self._recalls = 0
        self._limit: int | None = None
        self._waits = self._waits_seen = self._void_waits = self._proceeds = 0
        self._is_drained = False
        self._is_interrupted = False
        self._running: ItemIndex | None = None
        self._last: ItemIndex | None = None
        self._is_hanging = False
        self._needs_command = False
        self._life = self._live()

    # --- What the simulator does -------------------------------------------------------------------------------------

    @property
    def is_hanging(self) -> bool:
        """Whether it will do nothing any more of itself."""
        return self._is_hanging and self.exit is None

    @property
    def can_act(self) -> bool:
        """Whether a step would change anything: it is alive, and neither waits for a command nor hangs."""
        if self.exit is not None:
            return False
        return self._is_interrupted or not (self._is_hanging or (self._needs_command and not self.down))

    def step(self) -> None:
        """Live on to the next place where something may come between."""
        if self._chance() < self._habits.dies:
            self.die(-9 if self._chance() < 0.3 else -11)
            return
        try:
            if self._is_interrupted:
                self._is_interrupted = self._is_hanging = False
                self._needs_command = self._life.throw(KeyboardInterrupt())
            else:
                self._needs_command = next(self._life)
        except StopIteration:
            self.die(0)
        except KeyboardInterrupt:
            self.die(1)

    def take_back(self, begun: int) -> int | None:
        """As ``runtime.ledger.Page.take_back``: close the list, and say how much of it was claimed by now."""
        if self._limit is not None:
            return None
        self._limit = begun
        return max(begun, self._claimed)

    def die(self, code: int) -> None:
        """End."""
        if self.exit is None:
            self.exit = Exit(code)

    def interrupt(self) -> None:
        """Get KeyboardInterrupt at the next step."""
        self._is_interrupted = True

    # --- Its life ----------------------------------------------------------------------------------------------------

    def _live(self) -> Generator[bool]:
        yield False
        if self._chance() < self._habits.breaks / 5:
            self._post(Broken("initializer", ""))
        else:
            self._post(Ready(1, (-1, -1, -1)))
            self._flush()
            try:
                yield from self._run()
            except KeyboardInterrupt:
                self._post(Interrupted(self._running, ""))
        yield from self._leave()

    def _run(self) -> Iterator[bool]:
        while True:
            yield from self._look_for_item()
            while self._position >= len(self._items) and not self._is_drained:
                self._flush()
                yield from self._receive()
                yield from self._look_for_item()
            if self._is_drained:
                return
            chance = self._chance() / self._habits.breaks if self._habits.breaks else 9.0
            if chance < 0.15:
                return  # A plugin ends the loop.
            self._position += 1
            yield from self._run_item(self._items[self._position - 1], is_interrupting=0.15 < chance < 0.4)
            if chance < 0.6:
                self._post(StopAsked("", is_failure=True))
                self._flush()
                while not self._is_drained:
                    yield from self._receive()
            elif chance < 1.0:
                self._post(Broken("INTERNALERROR", "") if chance < 0.8 else ExitAsked("", None))
                return

    def _run_item(self, item: ItemIndex, *, is_interrupting: bool) -> Iterator[bool]:
        self._post(Started(item, LOCATION))
        self._flush()
        self._last = self._running = item
        self._begins(item)
        self._is_hanging = self._chance() < self._habits.hangs / 10
        yield False
        if is_interrupting:
            raise KeyboardInterrupt
        has_failed = self._fails(item)
        yield False
        if not self._habits.is_reporting_late:
            yield from self._report(item, has_failed=has_failed)
        yield from self._look_for_item()
        yield False
        has_teardown_failed = self._fails(item)
        yield False
        if self._habits.is_reporting_late:
            yield from self._report(item, has_failed=has_failed)
        yield from self._report(item, has_failed=has_teardown_failed)
        self._post(Finished(item, 0.001))
        self._running = None

    def _fails(self, item: ItemIndex) -> bool:
        has_raised = self._chance() < self._habits.fails
        if has_raised and self._habits.is_stop_watched:
            self._post(Troubled(item))
            self._flush()
        return has_raised and self._chance() < 0.8  # Else it was to fail, or runs again and passes.

    def _report(self, item: ItemIndex, *, has_failed: bool) -> Iterator[bool]:
        is_awaiting = has_failed and self._habits.is_stop_watched
        self._post(Reported(item, b"", is_awaiting))
        if has_failed:
            proceeds = self._proceeds
            self._flush()
            while is_awaiting and self._proceeds == proceeds and not self._is_drained:
                yield from self._receive()

    def _leave(self) -> Iterator[bool]:
        self._post(Draining())
        self._flush()
        self._is_hanging = self._chance() < self._habits.hangs
        yield False
        if self._last is not None:
            yield from self._report(self._last, has_failed=self._chance() < 3 * self._habits.fails)
        self._post(Left(b""))
        self._flush()
        self._is_hanging = self._chance() < self._habits.hangs
        yield False

    # --- Talking -----------------------------------------------------------------------------------------------------

    def _look_for_item(self) -> Iterator[bool]:
        """As ``Executor._look_for_item``: asks if it must, and waits for the answer only."""
        for _ in range(int(self._chance() * (len(self.down) + 1))):
            self._take(self.down.popleft())  # What has come by now; the rest is under way.
        while True:
            while not self._is_answered():
                self._post(Asked())
                self._flush()
                recalls = self._recalls
                while not self._is_answered() and self._recalls == recalls:
                    yield from self._receive()
            if self._is_drained or self._position >= len(self._items):
                return
            self._claimed = self._position + 1
            yield False
            if self._limit is None or self._claimed <= self._limit:
                self._waits_seen = self._waits
                return
            recalls = self._recalls
            while self._recalls == recalls and not self._is_drained:
                yield from self._receive()

    def _is_answered(self) -> bool:
        if self._is_drained or self._position < len(self._items):
            return True
        return self._waits > max(self._waits_seen, self._void_waits)

    def _receive(self) -> Iterator[bool]:
        while not self.down:
            yield True
        self._take(self.down.popleft())

    def _take(self, command: Command) -> None:
        match command:
            case Run(items):
                self._items += items
            case Wait():
                self._waits += 1
            case Proceed():
                self._proceeds += 1
            case Recalled(kept):
                del self._items[kept:]
                self._limit = None
                self._recalls += 1
                self._void_waits = self._waits
            case Drain():
                self._is_drained = True
            case _:
                raise AssertionError(f"the simulation knows no {command}")

    def _post(self, event: Event) -> None:
        self._posted.append(event)

    def _flush(self) -> None:
        self.up.extend(self._posted)
        self._posted.clear()
