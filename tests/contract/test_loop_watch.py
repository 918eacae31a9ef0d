"""Shared objects in the tasks of a loop that watches no sockets for others, as Windows' own: a thread does it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, NoReturn, TypeVar

import pytest

from pytest_parpool.sync.objects import SharedObjects
from pytest_parpool.sync.party import Party
from tests.sharing import DEADLINE_SECONDS

_T = TypeVar("_T")


class BlindLoop(asyncio.SelectorEventLoop):
    """A loop as ``asyncio.ProactorEventLoop`` is: it knows no sockets but its own."""

    def _refuse(self, *_: object) -> NoReturn:
        raise NotImplementedError

    add_reader = remove_reader = add_writer = remove_writer = _refuse  # type: ignore[assignment]


@pytest.fixture
def loop() -> Iterator[BlindLoop]:
    """Such a loop, closed in the end as ``asyncio.run`` does it."""
    loop = BlindLoop()
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


@pytest.fixture
def objects(party: Party) -> SharedObjects:
    """The objects of a run."""
    return SharedObjects(party)


def run(loop: BlindLoop, coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine; a second is more than it takes."""

    async def within() -> _T:
        return await asyncio.wait_for(coroutine, DEADLINE_SECONDS)

    return loop.run_until_complete(within())


def test_tasks_exclude_each_other(loop: BlindLoop, objects: SharedObjects) -> None:
    """Each answer comes to the task that waits for it, also in a second run of the loop."""
    entered: list[str] = []

    async def work() -> None:
        async with objects.lock("db"):
            entered.append("in")
            await asyncio.sleep(0)
            entered.append("out")

    async def work_all() -> None:
        await asyncio.gather(*[work() for _ in range(20)])

    for _ in range(2):
        run(loop, work_all())
    assert entered == ["in", "out"] * 40


def test_a_cancelled_wait_holds_nothing(loop: BlindLoop, objects: SharedObjects) -> None:
    """Who was cancelled while it waited has not got it."""

    async def wait_in_vain() -> None:
        async with objects.lock("db"):
            waiting = asyncio.create_task(objects.lock("db").acquire_async(timeout=None))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(loop, wait_in_vain())
    assert objects.lock("db").acquire(timeout=0)
    objects.lock("db").release()


def test_what_does_not_fit_into_the_socket_is_sent_bit_by_bit(loop: BlindLoop, objects: SharedObjects) -> None:
    """Also without being told when there is room."""
    large = "x" * 5_000_000

    async def put_and_get() -> object:
        items = objects.queue("items")
        await asyncio.gather(*[items.put_async(large) for _ in range(4)])
        return [len(await items.get_async()) for _ in range(4)]

    assert run(loop, put_and_get()) == [len(large)] * 4


def test_the_thread_is_not_among_those_that_tests_count(loop: BlindLoop, objects: SharedObjects) -> None:
    """``threading`` does not know it."""
    before = threading.enumerate()

    async def count() -> list[threading.Thread]:
        async with objects.lock("db"):
            return threading.enumerate()

    assert run(loop, count()) == before
