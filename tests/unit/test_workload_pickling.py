"""Jobs and outcomes as bytes."""

from __future__ import annotations

import pickle
import sys
import threading
from typing import Any, NamedTuple

import pytest

from pytest_parpool.workload.calls import OneArgumentCalls, StarredCalls
from pytest_parpool.workload.engine import Job, Raised, Returned
from pytest_parpool.workload.errors import UnpicklableTaskError
from pytest_parpool.workload.pickling import dump_job, dump_outcome, load_job, load_outcome
from tests import pooling
from tests.pooling import no_cloudpickle, square

__all__ = ["no_cloudpickle"]

LARGE = 200_000


def caught(error: BaseException) -> BaseException:
    """Return an error that was raised."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001  -- returned
        return raised


def error_of(parts: list[Any]) -> BaseException:
    """Return the error of an outcome."""
    outcome = load_outcome(parts)
    assert isinstance(outcome, Raised)
    return outcome.error


# --- Jobs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "calls",
    [[((1, "a"), {"b": 2})], OneArgumentCalls([1, "a", None]), StarredCalls([(1, 2), [3], "ab"])],
)
def test_jobs_come_back(calls: Any) -> None:
    """Function and calls are the same afterwards."""
    job = load_job(dump_job(Job(square, calls, is_chunk=True)))
    assert job.function is square
    assert job.is_chunk
    assert [(tuple(args), dict(kwargs)) for args, kwargs in job.calls] == [
        (tuple(args), dict(kwargs)) for args, kwargs in calls
    ]
    assert len(job.calls) == len(calls)


def test_calls_of_items() -> None:
    """They are sequences: of one argument each, or of several."""
    ones = OneArgumentCalls([1, 2, 3])
    assert ones[1] == ((2,), {})
    assert list(ones[1:]) == [((2,), {}), ((3,), {})]
    starred = StarredCalls([(1, 2), "ab"])
    assert starred[1] == (("a", "b"), {})
    assert list(starred[:1]) == [((1, 2), {})]


def test_large_buffers_travel_beside_the_pickle() -> None:
    """They are copies of what the caller may change, and no copies of what nobody can."""
    changeable, fixed, small = bytearray(LARGE), bytes(LARGE), bytearray(10)
    buffers = [pickle.PickleBuffer(data) for data in (changeable, fixed, small)]
    parts = dump_job(Job(square, [(buffers, {})], is_chunk=False))
    assert [len(part) for part in parts[1:]] == [LARGE, LARGE]
    changeable[0] = 1
    assert parts[1][0] == 0
    assert isinstance(parts[2], memoryview)
    assert parts[2].obj is fixed
    ((args, _),) = load_job(parts).calls
    assert [bytes(value) for value in args] == [fixed, fixed, bytes(10)]


def test_results_are_not_copied() -> None:
    """A worker sends them before anybody can change them."""
    data = bytearray(LARGE)
    parts = dump_outcome(Returned(pickle.PickleBuffer(data)))
    assert isinstance(parts[1], memoryview)
    assert parts[1].obj is data


@pytest.mark.usefixtures("no_cloudpickle")
def test_the_error_of_a_job_survives_pickling() -> None:
    """It may be the error of a task in another process."""
    with pytest.raises(UnpicklableTaskError) as info:
        dump_job(Job(lambda: 1, [((), {})], is_chunk=False))
    again = pickle.loads(pickle.dumps(info.value))
    assert (type(again), str(again)) == (UnpicklableTaskError, str(info.value))
    assert isinstance(info.value, pickle.PicklingError)
    assert isinstance(info.value.__cause__, Exception)


class _Slotted:
    __slots__ = ("first", "second")

    def __init__(self) -> None:
        self.first, self.second = 1, threading.Lock()


class _Pair(NamedTuple):
    left: Any
    right: Any


class _Many(dict[str, Any]):
    pass


class _BadRepr:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("not today")

    def __repr__(self) -> str:
        raise LookupError("no repr")


def _endless() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.usefixtures("no_cloudpickle")
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (threading.Lock(), "argument 1 of square: <unlocked _thread.lock"),
        ([0, {"a": (1, {threading.Lock()})}], "[1]['a'][1][0] of argument 1 of square: <unlocked"),
        ({threading.Lock(): 1}, "[<unlocked _thread.lock object at "),
        (_Slotted(), ".second of argument 1 of square: <unlocked"),
        (_Many(lock=threading.Lock()), "[0][1] of argument 1 of square: <unlocked"),
        (_Pair(1, threading.Lock()), "[1] of argument 1 of square: <unlocked"),
        (_BadRepr(), "of type '_BadRepr' cannot be sent to a worker process: ZeroDivisionError: not today"),
        (_endless(), "cannot be sent to a worker process: RecursionError"),
        (sys, "argument 1 of square: <module 'sys' (built-in)> of type 'module' cannot be sent"),
        ((number for number in range(3)), "of type 'generator' cannot be sent to a worker process: TypeError: cannot"),
    ],
)
def test_what_cannot_be_pickled_is_found(value: object, text: str) -> None:
    """The message says where it is, whatever is around it."""
    with pytest.raises(UnpicklableTaskError) as info:
        dump_job(Job(square, [((value,), {})], is_chunk=False))
    assert text in str(info.value)
    assert len(str(info.value)) < 500


def _local_class() -> Any:
    class Local:
        pass

    return Local()


@pytest.mark.usefixtures("no_cloudpickle")
def test_classes_defined_in_functions() -> None:
    """They are named as the culprit, with where they were defined."""
    with pytest.raises(UnpicklableTaskError, match=r"the class 'Local', which was defined inside of '_local_class'"):
        dump_job(Job(square, [((_local_class(),), {})], is_chunk=False))


def test_the_extra_is_not_named_where_it_is_installed() -> None:
    """Then it cannot help either."""
    with pytest.raises(UnpicklableTaskError) as info:
        dump_job(Job(square, [((threading.Lock(), lambda: 1), {})], is_chunk=False))
    assert "pip install" not in str(info.value)


def test_jobs_that_cannot_be_rebuilt() -> None:
    """A name that is not there is explained; anything else is told."""
    data = pickle.dumps((square, [], False)).replace(b"square", b"sqbare")
    with pytest.raises(UnpicklableTaskError, match=r"AttributeError.*sqbare.*when the pool was made: define it before"):
        load_job([data])
    with pytest.raises(UnpicklableTaskError, match=r"ValueError: invalid literal for int\(\)[^;]*$"):
        load_job(dump_job(Job(square, [((pooling.CannotBeRebuilt(),), {})], is_chunk=False)))


# --- Outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 3, [1, 2], ValueError("a value"), Returned(1)])
def test_values_come_back(value: object) -> None:
    """Also those that are errors."""
    outcome = load_outcome(dump_outcome(Returned(value)))
    assert isinstance(outcome, Returned)
    assert repr(outcome.value) == repr(value)


def test_errors_come_back() -> None:
    """With the traceback's text as their cause, as multiprocessing has it."""
    from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]

    error = error_of(dump_outcome(Raised(caught(KeyError("a")))))
    assert (type(error), error.args) == (KeyError, ("a",))
    assert type(error.__cause__) is RemoteTraceback
    assert "raise error" in str(error.__cause__)
    assert str(error.__cause__).startswith('\n"""\nTraceback (most recent call last):\n')


class _Unspeakable(Exception):  # noqa: N818  -- it is
    def __str__(self) -> str:
        raise LookupError("no words")


class _Becomes(Exception):  # noqa: N818  -- as above
    def __reduce__(self) -> Any:
        return int, ("3",)


@pytest.mark.usefixtures("no_cloudpickle")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (pooling.TwoArgumentsError("a", "b"), "TwoArgumentsError: a', which could not be rebuilt here: TypeError: "),
        (ValueError(threading.Lock()), "which cannot be pickled: TypeError(\"cannot pickle '_thread.lock' object\")"),
        (_Becomes(), "which could not be rebuilt here: TypeError: it became 3, of type 'int'"),
    ],
)
def test_errors_that_cannot_come_back(error: BaseException, text: str) -> None:
    """Another one comes that says so, and has the traceback."""
    came = error_of(dump_outcome(Raised(caught(error))))
    assert type(came).__name__ == "UnpicklableResultError"
    assert text in str(came)
    assert "raise error" in str(came.__cause__)


def test_errors_without_words() -> None:
    """A ``__str__`` that raises does no harm."""
    error = error_of(dump_outcome(Raised(caught(_Unspeakable()))))
    assert type(error) is _Unspeakable
    assert "_Unspeakable" in str(error.__cause__)


@pytest.mark.usefixtures("no_cloudpickle")
def test_results_that_cannot_come_back() -> None:
    """The error says where in the result the culprit is; it can be pickled itself."""
    error = error_of(dump_outcome(Returned([1, threading.Lock()])))
    assert str(error).startswith("[1] of the task's result: <unlocked _thread.lock object")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exc, again.value) == (type(error), str(error), error.exc, error.value)  # type: ignore[attr-defined]


def test_the_owners_error_is_left_out() -> None:
    """A process that was forked while an error was handled has it as the context of all that is raised in it."""
    try:
        raise LookupError("the owner's")
    except LookupError:
        error = caught(ValueError("the task's"))
        assert isinstance(error.__context__, LookupError)
        came = error_of(dump_outcome(Raised(error)))
    assert "the owner's" not in str(came.__cause__)
    assert "the task's" in str(came.__cause__)
