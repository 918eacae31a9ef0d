"""Whose a file is, by its name."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pytest_parpool.compat import code_places
from pytest_parpool.compat.code_places import CodePlaces, is_standard_library

PLACES = CodePlaces("/project", ("/vendored/",))


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        pytest.param("/project/conftest.py", True, id="in-the-root"),
        pytest.param("/shared/settings.py", True, id="outside-of-the-root"),
        pytest.param("/project/.venv/lib/python3.13/site-packages/lib.py", False, id="environment-in-the-root"),
        pytest.param("/usr/lib/python3/dist-packages/lib/core.py", False, id="debians"),
        pytest.param("/vendored/lib.py", False, id="installed-to-a-directory"),
        pytest.param("/v/site-packages/lib/conftest.py", True, id="conftest-of-an-installed-package"),
        pytest.param("/v/site-packages/lib/tests/test_core.py", True, id="tests-of-an-installed-package"),
        pytest.param("/v/site-packages/lib/core_test.py", True, id="tests-by-the-other-name"),
        pytest.param(threading.__file__, False, id="standard-library"),
        pytest.param("<frozen os>", False, id="frozen"),
        pytest.param("<string>", False, id="no-file"),
        pytest.param(code_places.__file__, False, id="ours"),
    ],
)
def test_a_file_is_the_projects_unless_it_was_installed(filename: str, expected: bool) -> None:
    """Everything is the project's but what came with Python or an installer; tests always are."""
    assert PLACES.is_project(filename) is expected


def test_what_is_installed_below_the_standard_library_is_not_of_it() -> None:
    """Python's own directory has ``site-packages`` in it."""
    directory = os.path.dirname(os.__file__)
    assert is_standard_library(os.path.join(directory, "asyncio", "events.py"))
    assert not is_standard_library(os.path.join(directory, "site-packages", "lib.py"))


def test_directories_of_a_search_path_that_an_installer_has_written_to_are_libraries(tmp_path: Path) -> None:
    """``pip install --target`` leaves a ``.dist-info`` beside each package; a project's own directory has none."""
    vendored, source = tmp_path / "vendored", tmp_path / "source"
    (vendored / "lib-1.0.dist-info").mkdir(parents=True)
    source.mkdir()
    places = CodePlaces.of(str(tmp_path), ["", str(vendored), str(source), str(tmp_path / "absent.zip")])
    assert not places.is_project(str(vendored / "lib.py"))
    assert places.is_project(str(source / "lib.py"))


def test_a_place_below_the_root_is_shown_from_there() -> None:
    """Other files are shown with their whole path."""
    assert PLACES.show("/project/tests/conftest.py", 3) == "tests/conftest.py:3"
    assert PLACES.show("/projects/conftest.py", 3) == "/projects/conftest.py:3"
    assert CodePlaces("/").show("/conftest.py", 3) == "conftest.py:3"
