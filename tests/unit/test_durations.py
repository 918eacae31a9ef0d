"""What the last run measured is kept in pytest's cache, and only what is worth keeping."""

from __future__ import annotations

from typing import cast

import pytest

from pytest_parpool.controller import durations

KEY = "parpool/durations"


class FakeCache:
    """Stands for pytest's cache: keeps values by key, and counts how often it was written to."""

    def __init__(self, **values: object) -> None:
        self.values = dict(values)
        self.writes = 0

    def get(self, key: str, default: object) -> object:
        """Return what was set, or the default."""
        return self.values.get(key, default)

    def set(self, key: str, value: object) -> None:
        """Keep a value."""
        self.values[key] = value
        self.writes += 1


class FakeConfig:
    """Stands for a config with a cache, or without one (``-p no:cacheprovider``)."""

    def __init__(self, cache: FakeCache | None) -> None:
        if cache is not None:
            self.cache = cache


def config_with(value: object = None) -> tuple[pytest.Config, FakeCache]:
    """Return a config whose cache holds ``value`` under our key, and that cache."""
    cache = FakeCache() if value is None else FakeCache(**{KEY: value})
    return cast("pytest.Config", FakeConfig(cache)), cache


def test_only_long_items_are_kept() -> None:
    """That a test is short is seen from its neighbours; a file with every test would cost more than it saves."""
    config, cache = config_with()
    durations.save(config, {}, [("long", 1.23456), ("short", 0.001), ("border", durations.LONG_SECONDS)])
    assert cache.values[KEY] == {"long": 1.235, "border": durations.LONG_SECONDS}
    assert durations.load(config) == {"long": 1.235, "border": durations.LONG_SECONDS}


def test_what_did_not_run_keeps_what_was_known() -> None:
    """A part of the suite was run: the rest is not forgotten; what became short is."""
    config, cache = config_with({"other": 5.0, "was long": 2.0})
    durations.save(config, durations.load(config), [("was long", 0.001), ("new", 1.0)])
    assert cache.values[KEY] == {"other": 5.0, "new": 1.0}


def test_nothing_new_is_not_written() -> None:
    """A run in which nothing changed leaves the file alone."""
    config, cache = config_with({"long": 1.0})
    durations.save(config, durations.load(config), [("long", 1.0), ("short", 0.001)])
    assert cache.writes == 0


def test_the_last_measurement_counts() -> None:
    """Of an item that ran in several workers (``--dist each``) one duration is kept."""
    config, cache = config_with()
    durations.save(config, {}, [("x", 1.0), ("x", 3.0)])
    assert cache.values[KEY] == {"x": 3.0}


@pytest.mark.parametrize(
    ("stored", "loaded"),
    [
        pytest.param(["a list"], {}, id="no dict"),
        pytest.param("text", {}, id="text"),
        pytest.param({"a": "1.0", "b": None, "c": -1, "d": float("inf"), "e": float("nan")}, {}, id="no durations"),
        pytest.param({"a": 2, "b": [1]}, {"a": 2.0}, id="some durations"),
    ],
)
def test_somebody_elses_values_are_left_out(stored: object, loaded: dict[str, float]) -> None:
    """A file that is not ours, or was edited, breaks nothing."""
    config, _ = config_with(stored)
    assert durations.load(config) == loaded


def test_without_a_cache_nothing_is_known_or_kept() -> None:
    """``-p no:cacheprovider`` is no error."""
    config = cast("pytest.Config", FakeConfig(None))
    assert durations.load(config) == {}
    durations.save(config, {}, [("x", 1.0)])
