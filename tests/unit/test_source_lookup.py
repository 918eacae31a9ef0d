"""What ``inspect`` is told of the modules there are."""

from __future__ import annotations

import importlib.util
import inspect
import json.decoder
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_parpool.compat import source_lookup


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """``inspect`` as it is before it was asked for the first time."""
    monkeypatch.setattr(inspect, "modulesbyfile", {})
    monkeypatch.setattr(inspect, "_filesbymodname", {})


def test_a_module_is_found_without_looking_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what copies the pages of all of them."""
    source_lookup.remember_modules()

    class Untouchable(ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(f"{name} was asked for")

    monkeypatch.setitem(sys.modules, "untouchable", Untouchable("untouchable"))
    code = json.decoder.JSONDecoder.decode.__code__
    assert inspect.getmodule(code) is json.decoder
    assert inspect.getmodule(test_a_module_is_found_without_looking_at_the_others.__code__) is sys.modules[__name__]


def test_what_is_remembered_is_what_inspect_finds_itself() -> None:
    """For all files, of which several modules may be made."""
    source_lookup.remember_modules()
    remembered = dict(inspect.modulesbyfile)
    assert os.path.normcase(os.path.abspath(json.decoder.__file__)) in remembered
    inspect.modulesbyfile.clear()
    # A file that no module was made of, so that all are looked at.
    inspect.getmodule(compile("", os.path.abspath("there-is-no-such-file.py"), "exec"))
    assert remembered.items() <= inspect.modulesbyfile.items()


def test_a_lazy_module_stays_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may have wanted it."""
    file = tmp_path / "lazy_one.py"
    file.write_text("raise AssertionError('imported')")
    spec = importlib.util.spec_from_file_location("lazy_one", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy_one", module)
    importlib.util.LazyLoader(spec.loader).exec_module(module)
    source_lookup.remember_modules()
    assert type(module).__name__ == "_LazyModule"
    assert str(file) not in inspect.modulesbyfile


def test_a_module_found_by_a_link_is_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code may have been compiled under another name of the file."""
    (tmp_path / "real").mkdir()
    file = tmp_path / "real" / "linked_one.py"
    file.write_text("def function(): pass")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    module = ModuleType("linked_one")
    module.__file__ = str(tmp_path / "link" / "linked_one.py")
    monkeypatch.setitem(sys.modules, "linked_one", module)
    source_lookup.remember_modules()
    code = compile("def function(): pass", str(file), "exec")
    assert inspect.getmodule(code) is module


def test_a_python_without_that_dictionary_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not documented."""
    monkeypatch.delattr(inspect, "modulesbyfile")
    source_lookup.remember_modules()
    assert not hasattr(inspect, "modulesbyfile")
