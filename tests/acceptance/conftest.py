"""Acceptance tests run for every start method, but for those that say which one they are about."""

from __future__ import annotations

import pytest

from tests.acceptance.runs import START_METHOD

START_METHODS = ("fork", "spawn")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for the start methods that its mark names, or for all."""
    mark = metafunc.definition.get_closest_marker("start_method")
    metafunc.parametrize("start_method", mark.args if mark is not None else START_METHODS, indirect=True)


@pytest.fixture(autouse=True)
def start_method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """How workers of inner runs are started, unless they say so themselves."""
    method: str | None = request.param
    if method is None:
        monkeypatch.delenv(START_METHOD, raising=False)
    else:
        monkeypatch.setenv(START_METHOD, method)
    return method
