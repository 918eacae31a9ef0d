"""Something that is done once, by whoever comes first, for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_parpool.errors import ParpoolError
from pytest_parpool.model.sync_requests import BeginOnce, EndOnce
from pytest_parpool.sync.party import Party
from pytest_parpool.sync.payloads import pack, pack_failure, unpack

# Pytest shows the line that called, not what lies below it.
__tracebackhide__ = True


def run_once(party: Party, name: str, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
    """Return what the first call with this name returned, or raise what it raised; wait while it is under way.

    Whoever dies while it runs the function is followed by the next who waits.

    Args:
        party: This process.
        name: What it is called; whoever gives the same name wants the same.
        function: Called here, if nobody has called it.
        args: For it.
        kwargs: For it.

    Raises:
        UnpicklableError: If what was returned cannot be sent to the others; they get this error, too.
        BaseException: What the function raised, if it survives pickling; else a RuntimeError with its text.
    """
    verdict = ""
    try:
        verdict, payload = party.ask(BeginOnce(name, None))
        if verdict == "run":
            result = function(*args, **kwargs)
            payload = pack(result, f"once {name!r}")
            party.ask(EndOnce(name, False, payload))
            return result
    except BaseException as error:
        if verdict == "run":  # Whatever comes, nobody shall wait for it for ever.
            _end_in_failure(party, name, error)
        raise
    if verdict == "failed":
        raise unpack(payload)
    return unpack(payload)


def _end_in_failure(party: Party, name: str, error: BaseException) -> None:
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        # It was meant for this process alone.
        error = RuntimeError(f"once {name!r} was interrupted in {party.name} by {type(error).__name__}")
    try:
        party.ask(EndOnce(name, True, pack_failure(error)))
    except ParpoolError:  # The end had been told before the interrupt came, or nobody is there to be told.
        pass
