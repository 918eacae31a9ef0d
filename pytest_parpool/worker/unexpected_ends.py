"""Tells the controller of what ends a spawned worker's pytest where no test is to blame.

Pytest handles these by itself, as it should: it writes a message, and returns an exit code. The message would be lost,
or stand on the terminal once for each worker, and the code says little.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator

import pytest

from pytest_parpool.model.messages import Broken
from pytest_parpool.runtime.link import LinkLostError, WorkerLink
from pytest_parpool.worker.faults import exit_asked, interrupted


class ToldError(BaseException):
    """Goes through pytest instead of what was told; nobody else is to handle it."""


class UnexpectedEnds:
    """A plugin for the whole of a worker's life.

    Args:
        link: To the controller.
        fault: Returns what has failed if something does now.

    Attributes:
        is_told: Whether the controller knows, or need not know any more, how pytest ends.
    """

    def __init__(self, link: WorkerLink, fault: Callable[[], str]) -> None:
        self._link = link
        self._fault = fault
        self.is_told = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self) -> Generator[None, object, object]:
        """Tell of a conftest that cannot be imported here."""
        return (yield from self._telling())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        """Tell of a usage error."""
        return (yield from self._telling())

    @pytest.hookimpl
    def pytest_internalerror(self, excrepr: object) -> bool:
        """Tell of an internal error."""
        self._tell_broken(str(excrepr))
        return True  # Nobody else needs to show it.

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tell of an interrupt, or of ``pytest.exit``, while pytest is configured or collects."""
        error = excinfo.value
        if self._link.is_connected() and not self.is_told:
            self._link.post(exit_asked(error) if isinstance(error, pytest.exit.Exception) else interrupted(error, None))
            self.is_told = True
            self._link.flush()

    def _telling(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except (KeyboardInterrupt, pytest.exit.Exception, LinkLostError, ToldError):
            raise
        except BaseException as error:  # Whatever it is, it ends the run, with its traceback.
            # Pytest's own exception for a conftest has the real one as an attribute.
            cause = getattr(error, "cause", None)
            shown = cause if isinstance(cause, BaseException) else error
            self._tell_broken("".join(traceback.format_exception(shown)))
            raise ToldError from error

    def _tell_broken(self, text: str) -> None:
        if self._link.is_connected():
            self._link.post(Broken(self._fault(), text))
            self.is_told = True
            self._link.flush()
