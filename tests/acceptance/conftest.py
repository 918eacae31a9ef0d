"""Acceptance tests run for every start method, but for those that say which one they are about."""

from __future__ import annotations

import os

import pytest

from tests.acceptance.prepared import WORKERS_SWITCH
from tests.acceptance.runs import BESIDE, EVERYBODY, START_METHOD

START_METHODS = ("fork", "spawn") if hasattr(os, "fork") else ("spawn",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for the start methods that its mark names, or for all."""
    mark = metafunc.definition.get_closest_marker("start_method")
    metafunc.parametrize("start_method", mark.args if mark is not None else START_METHODS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what would run the same twice: a single case that is marked, a ``mode`` without workers.

    And what is about a start method that this system does not have.
    """
    items[:] = [item for item in items if not _is_repetition(item) and _is_possible(item)]


def _is_possible(item: pytest.Item) -> bool:
    parameters: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("start_method") in (None, "auto", *START_METHODS)


def _is_repetition(item: pytest.Item) -> bool:
    parameters: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    mark = item.get_closest_marker("start_method")
    if mark is not None and parameters.get("start_method") not in mark.args:
        return True
    mode = parameters.get("mode")
    arguments = [mode] if isinstance(mode, str) else mode
    if parameters.get("start_method") != "spawn" or not isinstance(arguments, (tuple, list)):
        return False
    return "".join(map(str, arguments)) in ("", "-n0")


@pytest.fixture(autouse=True)
def start_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """How workers of inner runs are started, unless they say so themselves."""
    method: str | None = request.param
    if request.node.get_closest_marker("whole_workers") is not None:
        monkeypatch.setenv(WORKERS_SWITCH, "whole")
    if method is None:
        monkeypatch.delenv(START_METHOD, raising=False)
    else:
        monkeypatch.setenv(START_METHOD, method)
    return method


@pytest.fixture(autouse=True)
def beside(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which other plugins inner runs load: those that the test's mark names, or all that are installed."""
    mark = request.node.get_closest_marker("beside_others")
    if mark is not None:
        monkeypatch.setenv(BESIDE, " ".join(mark.args) or EVERYBODY)
