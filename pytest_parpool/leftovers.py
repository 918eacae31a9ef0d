"""What is done around each test in a process that uses shared objects.

The party is told what is under way, so that others learn who holds what they wait for. What a test has not released
when its own fixtures are torn down is released, and held against it. A report of a failure shows what was waited for in
vain. Registered when the first shared object is used, so that nobody else pays for it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import pytest

from pytest_parpool.compat import pytest_internals
from pytest_parpool.sync.party import Party

_T = TypeVar("_T")

_SECTION = "parpool waits"


class LeftoverWarning(pytest.PytestWarning):
    """A test ended while it held a lock, and ``parpool_leftovers`` is ``warn``."""


class PartyPlugin:
    """Names what is at work, and releases what tests leave behind.

    Args:
        party: This process.
        is_error: Whether a test that leaves something behind fails for it; else there is a warning.
    """

    def __init__(self, party: Party, *, is_error: bool) -> None:
        self._party = party
        self._is_error = is_error
        self._item: pytest.Item | None = None
        self._phase = ""  # as pytest calls it; empty between tests
        self._is_end_watched = False

    def begin_midway(self, request: pytest.FixtureRequest) -> None:
        """Begin with the test for which a fixture is being set up: its hooks have been called without us."""
        item = pytest_internals.requesting_item(request)
        self._begin(item)
        self._watch_end()
        self._enter(pytest_internals.current_phase())
        fixture = pytest_internals.fixture_under_way(request)
        if fixture is not None:
            self._party.set_test(self._name_of(fixture))

    def end(self) -> None:
        """Release what fixtures have taken for the rest of the run: nobody shall be warned of a death that was none."""
        mine = "" if self._item is None else self._item.nodeid
        for test in {hold.test for hold in self._party.held if not hold.is_of(mine)}:
            self._party.release_leftovers(test)

    # --- Names --------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, _T, _T]:
        """A test begins."""
        self._begin(item)
        self._enter("setup")
        self._party.timed_out_waits.clear()
        result = yield
        self._watch_end()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, _T, _T]:
        """A test runs."""
        self._enter("call")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, _T, _T]:
        """A test ends. What hooks and wider fixtures have taken meanwhile is released behind them."""
        self._enter("teardown")
        try:
            result = yield
        except BaseException:
            self._release_leftovers(item, is_error=False)
            raise
        finally:
            self._enter("")
        self._release_leftovers(item, is_error=self._is_error)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, _T, _T]:
        """A fixture is set up. What one of wider scope than function takes is its own, not the test's."""
        self._watch_end()
        before = self._party.connections.test
        self._party.set_test(self._name_of(fixturedef))
        try:
            return (yield)
        finally:
            self._party.set_test(before)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._party.set_test(self._name_of(None))

    def _name_of(self, fixturedef: pytest.FixtureDef[Any] | None) -> str:
        """Return what the test, or a fixture, is called in messages. What one of function scope takes is the test's."""
        if fixturedef is not None and fixturedef.scope != "function":
            return f"fixture {fixturedef.argname!r} ({fixturedef.scope})"
        return f"{self._item.nodeid} ({self._phase})" if self._item is not None and self._phase else ""

    # --- Leftovers ----------------------------------------------------------------------------------------------------

    def _begin(self, item: pytest.Item) -> None:
        self._item = item
        self._is_end_watched = False

    def _watch_end(self) -> None:
        """Have leftovers looked for behind the test's own fixtures, and before wider ones, which may need the lock.

        Finalizers are called last to first, so this has to come before the test's first fixture.
        """
        item = self._item
        if item is not None and not self._is_end_watched:
            self._is_end_watched = True
            item.addfinalizer(lambda: self._find_leftovers(item))

    def _find_leftovers(self, item: pytest.Item) -> None:
        if self._phase == "teardown":
            self._release_leftovers(item, is_error=self._is_error)
        else:
            # The run was interrupted: there is no report, and nobody would have had time to release anything.
            self._party.release_leftovers(item.nodeid)

    def _release_leftovers(self, item: pytest.Item, *, is_error: bool) -> None:
        texts = self._party.release_leftovers(item.nodeid)
        if not texts:
            return
        them = "it" if len(texts) == 1 else "them"
        text = f"test ended while holding: {'; '.join(texts)}; release {them}, or use `with`"
        if is_error:
            pytest.fail(text, pytrace=False)
        item.warn(LeftoverWarning(text))

    # --- Waits --------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show who held what the test has waited for in vain, if it failed."""
        report = yield
        waits = self._party.timed_out_waits
        if report.failed and waits:
            report.sections.append((_SECTION, "\n".join(waits)))
            waits.clear()
        return report
