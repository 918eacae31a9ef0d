"""How a run ends: what happened to it, and how pytest is told, so that exit codes are those of a plain run."""

from __future__ import annotations

import pytest


class Ending:
    """What was seen of the run's end. Filled while it runs.

    Attributes:
        broken: What failed in a worker through no fault of a test, and its traceback; the first one only.
        exit_asked: Reason and return code of the first ``pytest.exit``.
        is_interrupted: Whether Ctrl-C, a termination signal or a KeyboardInterrupt in a test ended it.
        failure: Why the run has failed though no test did, or None.
    """

    def __init__(self) -> None:
        self.broken: tuple[str, str] | None = None
        self.exit_asked: tuple[str, int | None] | None = None
        self.is_interrupted = False
        self.failure: str | None = None


class WorkerTraceback:
    """A traceback that came as text, shown by ``pytest_internalerror`` as it would show its own."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def tell_pytest(session: pytest.Session, ending: Ending) -> None:
    """Raise what makes pytest end as it would have in a plain run; return if the run just ended.

    The order is that of how much is wrong.

    Raises:
        BaseException: ``pytest.exit.Exception``, ``KeyboardInterrupt``, ``session.Failed`` or ``session.Interrupted``;
            ``_pytest.main.wrap_session`` knows what to do with each.
    """
    if ending.broken is not None:
        what, text = ending.broken
        try:
            raise RuntimeError(what)  # Only what was raised has the traceback that plugins expect
        except RuntimeError as error:
            excinfo = pytest.ExceptionInfo.from_exception(error)
        session.config.hook.pytest_internalerror(excrepr=WorkerTraceback(f"{what}:\n{text}"), excinfo=excinfo)
        raise pytest.exit.Exception(what, returncode=int(pytest.ExitCode.INTERNAL_ERROR))
    if ending.exit_asked is not None:
        reason, returncode = ending.exit_asked
        raise pytest.exit.Exception(reason, returncode)
    if ending.is_interrupted:
        raise KeyboardInterrupt
    if ending.failure is not None and not session.shouldfail:
        session.shouldfail = ending.failure
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
