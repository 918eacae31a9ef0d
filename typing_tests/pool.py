"""What type checkers know of ``Pool`` and ``PoolExecutor``."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Executor, Future
from typing import Any

from typing_extensions import assert_type

from pytest_parpool import AsyncResult, CompletedIterator, Pool, PoolExecutor, ResultIterator, WorkerCrashed


def length(text: str) -> int:
    return len(text)


def join(number: int, *, separator: str = "") -> str:
    return separator.join(str(number))


def of_pool(pool: Pool, texts: list[str]) -> None:
    assert_type(pool.apply(length, ("a",)), int)
    assert_type(pool.apply_async(length, ("a",), callback=float, error_callback=repr), AsyncResult[int])
    assert_type(pool.apply_async(length, ("a",)).get(timeout=1.5), int)
    assert_type(pool.map(length, texts), list[int])
    assert_type(pool.map(length, iter(texts), chunksize=3, timeout=1.5, retries=1, progress=True), list[int])
    assert_type(pool.map_async(length, texts), AsyncResult[list[int]])
    assert_type(pool.starmap(join, [(1,), (2,)]), list[str])
    assert_type(pool.starmap_async(join, [(1,)]).get(), list[str])
    assert_type(pool.imap(length, texts, buffersize=3), ResultIterator[int])
    assert_type(next(pool.imap_unordered(length, texts)), int)
    assert_type(pool.imap(length, texts).next(timeout=1), int)
    assert_type(pool.completed(length, texts), CompletedIterator[str, int])
    assert_type(next(pool.completed(length, texts)), tuple[str, AsyncResult[int]])
    for text, result in pool.completed(length, texts):
        assert_type(text, str)
        assert_type(result.get(), int)
    assert_type(pool.map(lambda text: text.encode(), texts), list[bytes])
    with pool as entered:
        assert_type(entered, Pool)


def refused(pool: Pool, executor: PoolExecutor) -> None:
    pool.map(length, [1])  # type: ignore[arg-type]
    pool.apply_async(length, ("a",), callback=str.upper)  # type: ignore[misc]
    pool.map(length, ["a"], 1, 2)  # type: ignore[call-arg]
    Pool(kind="fiber")  # type: ignore[arg-type]
    Pool(2, None, (), None, None, "thread")  # type: ignore[call-arg]
    executor.submit(length)  # type: ignore[call-arg]
    executor.submit(length, 3)  # type: ignore[arg-type]
    executor.submit(join, 3, separator=4)  # type: ignore[arg-type]


def of_executor(executor: PoolExecutor) -> None:
    base: Executor = executor
    assert_type(base.submit(length, "a"), Future[int])
    assert_type(executor.submit(length, "a"), Future[int])
    assert_type(executor.submit(join, 3, separator="-").result(), str)
    assert_type(list(executor.map(length, ["a"], buffersize=3)), list[int])


def of_arguments(context: multiprocessing.context.SpawnContext, anything: Any) -> None:
    Pool(processes=2, initializer=length, initargs=("a",), maxtasksperchild=3, context=context)
    Pool(kind="thread", context=anything)
    PoolExecutor(2, context, length, ("a",), max_tasks_per_child=3, kind="process", retries=1, timeout=2.5)


def of_errors(error: WorkerCrashed) -> None:
    assert_type(error.task, str)
    assert_type(error.exitcode, int | None)
    assert_type(error.call, int | None)
    assert_type(error.output, str)
