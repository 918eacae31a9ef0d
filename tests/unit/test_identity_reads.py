"""Which reads of a worker's identity are noted, and which of them make a fork wrong."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from pytest_parpool.compat import identity_reads
from pytest_parpool.compat.code_places import CodePlaces
from pytest_parpool.compat.identity_reads import COLLECTION, IMPORT, OPTIONS, Caller, IdentityRead, Noted, judge
from pytest_parpool.compat.identity_watch import Watch
from pytest_parpool.runtime import native_threads

VARIABLE = "PYTEST_XDIST_WORKER"
PLACES = CodePlaces("/project")

CONFTEST = Caller("/project/conftest.py", 3, "<module>")
HELPER = Caller("/project/helper.py", 7, "database")
HOOK = Caller("/project/conftest.py", 9, "pytest_generate_tests")
CONFIGURE = Caller("/project/conftest.py", 12, "pytest_configure")
OPTION = Caller("/project/conftest.py", 20, "pytest_addoption")
SCRIPT = Caller("/project/run_tests.py", 1, "<module>")
LIBRARY = Caller("/v/site-packages/environs/__init__.py", 5, "read")
LIBRARY_IMPORT = Caller("/v/site-packages/environs/__init__.py", 1, "<module>")
PLUGIN_HOOK = Caller("/v/site-packages/pytest_some/plugin.py", 5, "pytest_collection_modifyitems")
PLUGGY = Caller("/v/site-packages/pluggy/_callers.py", 121, "_multicall")
IMPORTLIB = Caller("<frozen importlib._bootstrap>", 488, "_call_with_frames_removed")
GENERATED = Caller("<string>", 1, "<module>")
OURS = Caller(native_threads.__file__, 5, "scan")
COLLECT = Caller(pytest.Session.perform_collect.__code__.co_filename, 800, "perform_collect")
MAIN = Caller(pytest.main.__code__.co_filename, 200, "main")


def judged(*callers: Caller) -> tuple[str, str] | None:
    """Return the place and the moment of a read by these callers, the reader first, if it makes a fork wrong."""
    read = judge(Noted(VARIABLE, callers), PLACES)
    return None if read is None else (read.place, read.moment)


@pytest.mark.parametrize(
    ("callers", "expected"),
    [
        pytest.param([CONFTEST, IMPORTLIB, PLUGGY, MAIN], ("conftest.py:3", IMPORT), id="conftest"),
        pytest.param([HELPER, CONFTEST, PLUGGY, MAIN], ("helper.py:7", IMPORT), id="function-called-at-import"),
        pytest.param([HELPER, IMPORTLIB, CONFTEST, MAIN], ("helper.py:7", IMPORT), id="across-an-import"),
        pytest.param([LIBRARY, CONFTEST, MAIN], ("conftest.py:3", IMPORT), id="asked-by-way-of-a-library"),
        pytest.param([GENERATED, CONFTEST, MAIN], ("conftest.py:3", IMPORT), id="exec"),
        pytest.param([CONFTEST, CONFIGURE, PLUGGY, MAIN], ("conftest.py:3", IMPORT), id="import-in-a-repeated-hook"),
        pytest.param([HOOK, PLUGGY, COLLECT, MAIN], ("conftest.py:9", COLLECTION), id="hook-of-collection"),
        pytest.param(
            [HELPER, PLUGIN_HOOK, PLUGGY, COLLECT, MAIN], ("helper.py:7", COLLECTION), id="called-by-a-plugin"
        ),
        pytest.param([OPTION, PLUGGY, MAIN], ("conftest.py:20", OPTIONS), id="options"),
        pytest.param(
            [Caller("/project/conftest.py", 5, "pytest_collection"), PLUGGY, MAIN],
            ("conftest.py:5", COLLECTION),
            id="around-collection",
        ),
    ],
)
def test_reads_that_a_forked_worker_does_not_repeat(callers: list[Caller], expected: tuple[str, str]) -> None:
    """Imports and collection happen once, in the controller; the first of the project who asked is named."""
    assert judged(*callers) == expected


@pytest.mark.parametrize(
    "callers",
    [
        pytest.param([CONFIGURE, PLUGGY, MAIN], id="repeated-hook"),
        pytest.param([HELPER, CONFIGURE, PLUGGY, MAIN], id="called-by-a-repeated-hook"),
        pytest.param([CONFIGURE, PLUGGY, COLLECT, MAIN], id="repeated-hook-of-a-late-conftest"),
        pytest.param([LIBRARY_IMPORT, IMPORTLIB, CONFTEST, MAIN], id="a-librarys-import"),
        pytest.param([PLUGIN_HOOK, PLUGGY, COLLECT, MAIN], id="a-plugins-hook"),
        pytest.param([LIBRARY, PLUGIN_HOOK, PLUGGY, CONFTEST, MAIN], id="called-by-a-plugins-hook"),
        pytest.param([OURS, CONFTEST, MAIN], id="ours"),
        pytest.param([HELPER, PLUGGY, MAIN, SCRIPT], id="some-other-hook-started-by-a-script"),
        pytest.param([LIBRARY, MAIN, SCRIPT], id="pytest-itself-started-by-a-script"),
        pytest.param([LIBRARY, COLLECT, MAIN], id="pytest-itself-while-it-collects"),
        pytest.param([HELPER], id="a-thread"),
    ],
)
def test_reads_that_do_no_harm(callers: list[Caller]) -> None:
    """What runs again in workers is asked there again, and installed plugins answer for themselves."""
    assert judged(*callers) is None


# --- Noting -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """A watch over an environment without an identity."""
    monkeypatch.delenv(VARIABLE, raising=False)
    watch = Watch()
    yield watch
    watch.stop()


def callers_of(watch: Watch) -> list[Caller]:
    """Return who asked, as it was noted."""
    return [noted.callers[0] for noted in watch._noted]


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda: os.environ[VARIABLE], id="item"),
        pytest.param(lambda: os.environ.get(VARIABLE), id="get"),
        pytest.param(lambda: os.getenv(VARIABLE), id="getenv"),
        pytest.param(lambda: VARIABLE in os.environ, id="in"),
        pytest.param(lambda: os.environ.pop(VARIABLE, None), id="pop"),
        pytest.param(lambda: os.environ.setdefault(VARIABLE, "gw0"), id="setdefault"),
        pytest.param(lambda: os.environ.get("PYTEST_XDIST_WORKER_COUNT"), id="count"),
        pytest.param(lambda: os.environ.get("PYTEST_XDIST_TESTRUNUID"), id="run"),
    ],
)
def test_all_ways_to_read_are_noted(
    watched: Watch, read: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller that is noted is the one who asked, not the standard library on the way."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    del watched._noted[:]
    try:
        read()
    except KeyError:
        pass  # As it has to be.
    finally:
        os.environ.pop(VARIABLE, None)
    first = callers_of(watched)[0]
    assert (first.filename, first.function) == (__file__, "<lambda>")


def test_nothing_else_is_noted(watched: Watch) -> None:
    """Other names, and writing, are nobody's business."""
    os.environ.get("HOME")
    os.environ[VARIABLE] = "gw0"
    del os.environ[VARIABLE]
    assert not watched.has_noted()


def test_a_place_that_asks_without_end_is_noted_some_times(watched: Watch) -> None:
    """A hook that asks for each of thousands of tests costs no memory, and hides nobody else."""
    for _ in range(identity_reads.MOST_OF_ONE_PLACE * 2):
        os.environ.get(VARIABLE)
    assert len(watched._noted) == identity_reads.MOST_OF_ONE_PLACE
    os.environ.get(VARIABLE)
    assert len(watched._noted) == identity_reads.MOST_OF_ONE_PLACE + 1


def test_a_module_that_reads_is_reported_once(watched: Watch, tmp_path: Path) -> None:
    """What was noted is judged when the project's root is known; equal places are one."""
    module = tmp_path / "settings.py"
    module.write_text(f"import os\nfor _ in range(3):\n    os.getenv({VARIABLE!r})\n", encoding="utf-8")
    exec(compile(module.read_text(encoding="utf-8"), str(module), "exec"), {})
    assert watched.reads(CodePlaces(str(tmp_path))) == (IdentityRead(VARIABLE, "settings.py:3", IMPORT),)


def test_stopping_puts_everything_back() -> None:
    """The function is the one that was there, and nothing is noted any more."""
    before = os.environ.encodekey
    watch = Watch()
    assert os.environ.encodekey is not before
    watch.stop()
    watch.stop()
    assert os.environ.encodekey is before
    os.environ.get(VARIABLE)
    assert not watch.has_noted()


def test_what_somebody_else_has_put_there_stays(watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has replaced the function meanwhile keeps it, and who has replaced the whole environment too."""
    replacement = os.environ.encodekey

    def theirs(name: str) -> str:
        return replacement(name)

    monkeypatch.setattr(os.environ, "encodekey", theirs)
    watched.stop()
    assert os.environ.encodekey is theirs
    monkeypatch.setattr(os.environ, "encodekey", replacement)
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", {})
        watched.stop()
    assert os.environ.encodekey is watched._original


def test_the_environment_works_as_before(watched: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting, patching, copying and child processes do not see a difference, and neither do errors."""
    with monkeypatch.context() as patch:
        patch.setenv("PARPOOL_PROBE", "one")
        assert os.environ["PARPOOL_PROBE"] == "one"
        with mock.patch.dict(os.environ, {"PARPOOL_PROBE": "two"}):
            command = [sys.executable, "-c", "import os; print(os.environ['PARPOOL_PROBE'])"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "two\n"
        assert os.environ["PARPOOL_PROBE"] == "one"
        assert dict(os.environ)["PARPOOL_PROBE"] == "one"
        shallow = copy.copy(os.environ)  # noqa: PLW1507 - that it shares its values is the point.
        for twin in (os.environ.copy(), shallow, copy.deepcopy(os.environ), os.environ | {}):
            assert twin == os.environ
    assert "PARPOOL_PROBE" not in os.environ
    with pytest.raises(KeyError, match="PARPOOL_PROBE"):
        os.environ["PARPOOL_PROBE"]
    with pytest.raises(TypeError, match="str expected"):
        os.environ[1]  # type: ignore[index]


def test_a_copy_that_outlives_the_watch_works(watched: Watch) -> None:
    """A copied environment keeps the function that was there, which goes on encoding."""
    twin = copy.copy(os.environ)  # noqa: PLW1507 - only this kind of copy has the function too.
    watched.stop()
    assert twin.get("PATH") == os.environ.get("PATH")
