"""Tasks and outcomes as bytes, and back.

Both are a list of parts: first a pickle, then the large buffers that it refers to (pickle protocol 5, PEP 574), which
are neither copied into the pickle nor out of it. What plain pickle refuses is given to cloudpickle, if it is installed.
What can be sent, but not be rebuilt at the other end, comes back as an error that says so.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from pytest_parpool.workload.calls import OneArgumentCalls, StarredCalls
from pytest_parpool.workload.descriptions import shorten, show
from pytest_parpool.workload.engine import Job, Raised, Returned
from pytest_parpool.workload.errors import UnpicklableTaskError
from pytest_parpool.workload.pickle_memory import PROTOCOL, PickleMemory

Part: TypeAlias = bytes | bytearray | memoryview

# Smaller ones are copied faster than they are sent on their own.
_OUT_OF_BAND_BYTES: Final = 128 * 1024
_OWN_PACKAGE: Final = "pytest_parpool.workload"

# Sent as the place in here, and the items: an object of one of these takes as long to pickle as all the rest of a task.
_CALLS_OF_ITEMS: Final = (OneArgumentCalls, StarredCalls)

# Any thread may submit, and what it submits is kept until it is done; a worker sends an outcome before the next one.
_job_memory = PickleMemory(is_kept=False)
_outcome_memory = PickleMemory(is_kept=True)


def dump_job(job: Job) -> list[Part]:
    """Return a job's parts. They are copies: the caller may change the arguments afterwards.

    Raises:
        UnpicklableTaskError: If something cannot be pickled; it says which value, and where.
    """
    try:
        calls, kind = job.calls, None
        if type(calls) in _CALLS_OF_ITEMS:
            assert isinstance(calls, OneArgumentCalls)
            calls, kind = calls.items, _CALLS_OF_ITEMS.index(type(calls))
        # The function first: if it is a lambda, that is found before all its arguments are looked at.
        return _dump((job.function, calls, kind, job.is_chunk), _job_memory, copies=True)
    except Exception as error:
        from pytest_parpool.workload.unpicklable import explain_job

        raise UnpicklableTaskError(explain_job(job, error)) from error


def load_job(parts: Sequence[Part]) -> Job:
    """Return the job again.

    Raises:
        UnpicklableTaskError: If it cannot be rebuilt here.
    """
    try:
        function, calls, kind, is_chunk = pickle.loads(parts[0], buffers=parts[1:])
        return Job(function, calls if kind is None else _CALLS_OF_ITEMS[kind](calls), is_chunk)
    except Exception as error:
        hint = ""
        if isinstance(error, AttributeError | ImportError):
            hint = "; a worker knows what was defined when the pool was made: define it before, and not in a function"
        text = f"the task could not be rebuilt in the worker: {type(error).__name__}: {error}{hint}"
        raise UnpicklableTaskError(text) from error


def dump_outcome(outcome: Returned | Raised) -> list[Part]:
    """Return an outcome's parts, always: what cannot be pickled is replaced by an error that says so.

    Large buffers of a result are not copied: they have to be sent before anybody changes them.
    """
    if isinstance(outcome, Raised):
        return [pickle.dumps((False, *_dump_error(outcome.error)), PROTOCOL)]
    try:
        return _dump((True, outcome.value), _outcome_memory, copies=False)
    except Exception as error:  # noqa: BLE001  -- handed over: pickling runs the user's code, which may raise anything
        from pytest_parpool.workload.unpicklable import explain_result

        failure = ("unpicklable", explain_result(outcome.value, error), repr(error), show(outcome.value))
        return [pickle.dumps((False, *failure), PROTOCOL)]


def load_outcome(parts: Sequence[Part]) -> Returned | Raised:
    """Return the outcome again, always: what cannot be rebuilt becomes an error that says so."""
    try:
        is_result, *content = pickle.loads(parts[0], buffers=parts[1:])
    except Exception as error:  # noqa: BLE001  -- handed over: rebuilding runs the user's code, which may raise anything
        text = f"the task's result was sent, but could not be rebuilt here: {type(error).__name__}: {error}"
        return Raised(_unpicklable_result(text, repr(error), "<result>", error))
    if is_result:
        return Returned(content[0])
    return Raised(_load_error(*content))


def _dump(value: object, memory: PickleMemory, *, copies: bool) -> list[Part]:
    parts: list[Part] = [b""]

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < _OUT_OF_BAND_BYTES:
            return True
        parts.append(bytearray(view) if copies and not view.readonly else view)
        return False

    try:
        parts[0] = memory.dump(value, keep_in_band)
    except Exception:
        cloudpickle = find_cloudpickle()
        if cloudpickle is None:
            raise
        del parts[1:]
        parts[0] = cloudpickle.dumps(value, PROTOCOL, buffer_callback=keep_in_band)
    return parts


def find_cloudpickle() -> Any:
    """Return the module cloudpickle, or None if it is not installed."""
    try:
        # By name, because it is an extra and type checkers may not find it.
        return importlib.import_module("cloudpickle")
    except ImportError:
        return None


def _dump_error(error: BaseException) -> tuple[str, bytes | str, str, str]:
    """Return what ``_load_error`` takes."""
    _forget_inherited_context(error)
    shown = _show_error(error)
    remote = _traceback_of(error)
    try:
        # A pickle within the pickle, so that the text arrives even if the error cannot be rebuilt.
        return "pickled", _dump_in_band(error), remote, shown
    except Exception as reason:  # noqa: BLE001  -- handed over: pickling runs the user's code, which may raise anything
        return "lost", repr(reason), remote, shown


def _dump_in_band(value: object) -> bytes:
    try:
        return pickle.dumps(value, PROTOCOL)
    except Exception:
        cloudpickle = find_cloudpickle()
        if cloudpickle is None:
            raise
        data: bytes = cloudpickle.dumps(value, PROTOCOL)
        return data


def _load_error(kind: str, content: bytes | str, remote: str, shown: str) -> BaseException:
    """Return the error.

    Args:
        kind: What ``content`` is: "pickled" an error, "lost" why it could not be pickled, or "unpicklable" the whole
            message about a result.
        content: See there.
        remote: The traceback's text; of a result, what pickle raised.
        shown: The error, or the result, in short.
    """
    if isinstance(content, str):
        if kind == "unpicklable":
            return _unpicklable_result(content, remote, shown, None)
        text = f"the task raised '{shown}', which cannot be pickled: {content}; its traceback is above"
        return _with_remote_traceback(_unpicklable_result(text, content, shown, None), remote)
    try:
        error = pickle.loads(content)
        if not isinstance(error, BaseException):
            raise TypeError(f"it became {show(error)}, of type '{type(error).__qualname__}'")
    except Exception as reason:  # noqa: BLE001  -- handed over: rebuilding runs the user's code, which may raise anything
        text = (
            f"the task raised '{shown}', which could not be rebuilt here: {type(reason).__name__}: {reason}; "
            "hand all arguments of its '__init__' to 'super().__init__', or give the class a '__reduce__'; "
            "its traceback is above"
        )
        error = _unpicklable_result(text, repr(reason), shown, None)
    return _with_remote_traceback(error, remote)


def _show_error(error: BaseException) -> str:
    try:
        text = shorten(str(error))
    except Exception as reason:  # noqa: BLE001  -- the user's ``__str__``, and this is about another
        text = f"<str raised {type(reason).__name__}>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _forget_inherited_context(error: BaseException) -> None:
    """Cut off the error that the owner was handling when it forked this process: it is none of the task's."""
    inherited = sys.exc_info()[1]
    while inherited is not None and error.__context__ is not None:
        if error.__context__ is inherited:
            error.__context__ = None
            return
        error = error.__context__


def _traceback_of(error: BaseException) -> str:
    """Return the traceback as text, from the user's first line on."""
    first = error.__traceback__
    while first is not None and first.tb_frame.f_globals.get("__name__", "").startswith(_OWN_PACKAGE):
        first = first.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, first or error.__traceback__))
    except Exception as reason:  # noqa: BLE001  -- the user's ``__str__`` and the like, and this is about another
        return f"{type(error).__name__} (its traceback cannot be shown: {type(reason).__name__})\n"


def _with_remote_traceback(error: BaseException, remote: str) -> BaseException:
    from pytest_parpool.workload.stdlib_errors import RemoteTraceback

    # As multiprocessing shows it.
    error.__cause__ = RemoteTraceback(f'\n"""\n{remote}"""')
    return error


def _unpicklable_result(text: str, exc: str, value: str, cause: BaseException | None) -> BaseException:
    from pytest_parpool.workload.stdlib_errors import UnpicklableResultError

    error = UnpicklableResultError(text, exc, value)
    error.__cause__ = cause
    return error
