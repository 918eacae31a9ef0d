"""Which variables are set to which values, and what becomes of libraries that no longer look at them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_parpool.budget import loaded_libraries
from pytest_parpool.budget.limiting import LIMITS, NativeLimits, environ_at_load, header_lines, limit_native_threads
from pytest_parpool.budget.native_limits import VARIABLES, header_line, threads_each, variables_to_set
from pytest_parpool.options import add_options

EVERY = frozenset(VARIABLES)


# --- Numbers and variables --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "workers", "expected"), [(2, 2, 1), (8, 2, 4), (7, 2, 3), (1, 1, 1), (8, 1, 8), (1, 4, 1)]
)
def test_each_worker_has_its_share(slots: int, workers: int, expected: int) -> None:
    """Slots are divided without rest, and one thread is the least, also if there are more workers than slots."""
    assert threads_each(slots, workers) == expected


def test_all_are_set_if_the_user_set_none() -> None:
    """Each library hears the same number."""
    assert variables_to_set({"HOME": "/"}, 3) == {
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "NUMEXPR_NUM_THREADS": "3",
        "LOKY_MAX_CPU_COUNT": "3",
    }


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("OMP_NUM_THREADS", EVERY - {"LOKY_MAX_CPU_COUNT"}),
        ("OPENBLAS_NUM_THREADS", {"OPENBLAS_NUM_THREADS"}),
        ("GOTO_NUM_THREADS", {"OPENBLAS_NUM_THREADS"}),
        ("MKL_NUM_THREADS", {"MKL_NUM_THREADS"}),
        ("NUMEXPR_NUM_THREADS", {"NUMEXPR_NUM_THREADS"}),
        ("LOKY_MAX_CPU_COUNT", {"LOKY_MAX_CPU_COUNT"}),
    ],
)
@pytest.mark.parametrize("value", ["4", ""])
def test_what_the_user_set_is_not_overruled(name: str, kept: set[str], value: str) -> None:
    """Neither by the same variable nor by a more special one that its library would read first."""
    values = variables_to_set({name: value}, 1)
    assert set(values) == EVERY - kept
    assert set(values.values()) <= {"1"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"NUMEXPR_MAX_THREADS": "6"}, "6"),
        ({"NUMEXPR_MAX_THREADS": ""}, "2"),
        ({"NUMEXPR_MAX_THREADS": "6", "OMP_NUM_THREADS": "4"}, None),
        ({"NUMEXPR_MAX_THREADS": "6", "NUMEXPR_NUM_THREADS": "5"}, None),
    ],
)
def test_the_users_most_of_numexpr_is_what_it_takes(environ: dict[str, str], expected: str | None) -> None:
    """It takes that number without us, and must not go by our number for OpenMP instead."""
    assert variables_to_set(environ, 2).get("NUMEXPR_NUM_THREADS") == expected


def test_the_header_names_number_and_variables() -> None:
    """One line, in the singular or plural."""
    assert header_line(1, ("A", "B")) == "parpool: native libraries use 1 thread each (A, B)"
    assert header_line(2, ("A",)) == "parpool: native libraries use 2 threads each (A)"


# --- Before conftests are imported ------------------------------------------------------------------------------------


class EarlyConfig:
    """What is used of pytest's config before conftests are imported."""

    def __init__(self, *arguments: str, **ini: object) -> None:
        parser = pytest.Parser(_ispytest=True)
        add_options(parser)
        self.known_args_namespace = parser.parse(list(arguments))
        self.known_args_namespace.collectonly = False
        self.stash = pytest.Stash()
        self._cleanups: list[Any] = []
        self._ini = {
            "parpool_limit_native_threads": True,
            "parpool_native_threads_safe": [],
            "parpool_worker_initializer": [],
            "parpool_rerun_hooks": [],
            "parpool_keep_hooks": [],
            **ini,
        }

    def getini(self, name: str) -> object:
        """Return a value, None if there is none."""
        return self._ini.get(name)

    def add_cleanup(self, function: Any) -> None:
        """Keep it for ``clean_up``."""
        self._cleanups.append(function)

    def clean_up(self) -> None:
        """Call what was kept, last to first."""
        while self._cleanups:
            self._cleanups.pop()()


def limit(*arguments: str, **ini: object) -> Any:
    """Return the config of a run for which libraries were limited."""
    config: Any = EarlyConfig(*arguments, **ini)
    limit_native_threads(config)
    return config


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is taken for ``os.environ``: empty, and pytest writes nothing there; and no library is loaded."""
    empty: dict[str, str] = {}
    monkeypatch.setattr("pytest_parpool.budget.limiting.os", SimpleNamespace(environ=empty))
    for name in ("numpy", "torch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return empty


class TestLimiting:
    """The environment of a run, which is the workers' too."""

    def test_variables_are_there_until_the_end(self, environ: dict[str, str]) -> None:
        """They are set at once, and gone when the config is cleaned up."""
        config = limit("-n2")
        assert environ == dict.fromkeys(VARIABLES, "1")
        config.clean_up()
        assert environ == {}

    @pytest.mark.parametrize(
        ("arguments", "threads"),
        [
            ("-n2 --parpool-cpus=9", 4),
            ("-n4 --parpool-cpus=2", 1),
            ("-n8 --maxprocesses=2 --parpool-cpus=8", 4),
            ("--tx=2*popen -d --parpool-cpus=8", 4),
        ],
    )
    def test_more_cpus_are_shared(self, environ: dict[str, str], arguments: str, threads: int) -> None:
        """Among as many workers as there will be."""
        limit(*arguments.split())
        assert environ["OMP_NUM_THREADS"] == str(threads)

    @pytest.mark.parametrize("arguments", ["-n0", "", "-n2 --pdb", "-n2 --dist=nonsense", "-n2 --parpool-cpus=0"])
    def test_nothing_is_done_without_workers(self, environ: dict[str, str], arguments: str) -> None:
        """Nor for a command line that will be refused; that is said later, when all options are known."""
        config: Any = EarlyConfig(*arguments.replace("--pdb", "").split())
        config.known_args_namespace.usepdb = "--pdb" in arguments
        limit_native_threads(config)
        assert environ == {}

    def test_it_can_be_switched_off(self, environ: dict[str, str]) -> None:
        """By ini."""
        limit("-n2", parpool_limit_native_threads=False)
        assert environ == {}

    @pytest.mark.parametrize(
        ("cpus", "forced", "expected"),
        [
            (None, None, "1"),
            (None, "3", "1"),
            (None, "0", None),
            ("8", "4", "2"),
            ("8", "0", None),
        ],
    )
    def test_auto_is_counted_if_it_matters(
        self, environ: dict[str, str], cpus: str | None, forced: str | None, expected: str | None
    ) -> None:
        """A slot each is one thread each, however many workers there are, unless there are none."""
        if forced is not None:
            environ["PYTEST_XDIST_AUTO_NUM_WORKERS"] = forced
        limit("-nauto", parpool_cpus=cpus)
        assert environ.get("OMP_NUM_THREADS") == expected

    def test_what_somebody_changed_is_left(self, environ: dict[str, str]) -> None:
        """A value that a conftest has set itself is not taken away at the end."""
        config = limit("-n2")
        environ["OMP_NUM_THREADS"] = "7"
        del environ["MKL_NUM_THREADS"]
        config.clean_up()
        assert environ == {"OMP_NUM_THREADS": "7"}

    def test_a_user_who_has_set_all_is_left_alone(self, environ: dict[str, str]) -> None:
        """Then there is nothing to say either."""
        environ |= {"OMP_NUM_THREADS": "4", "LOKY_MAX_CPU_COUNT": "4"}
        config = limit("-n2")
        assert environ == {"OMP_NUM_THREADS": "4", "LOKY_MAX_CPU_COUNT": "4"}
        assert header_lines(config) == []

    def test_a_library_that_was_there_before_is_named(
        self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If nothing can limit it."""
        monkeypatch.setitem(sys.modules, "numpy", ModuleType("numpy"))
        monkeypatch.setitem(sys.modules, "threadpoolctl", None)
        assert header_lines(limit("-n2"))[1:] == [
            "parpool: numpy had been imported before and may use more; install threadpoolctl to limit that too"
        ]


class TestEnvironAtLoad:
    """From where OpenBLAS took its number of threads."""

    @staticmethod
    def config(late: tuple[str, ...] | None) -> Any:
        """Return a config on which a limit is noted; none for None."""
        stash = pytest.Stash()
        if late is not None:
            stash[LIMITS] = NativeLimits(1, ("OMP_NUM_THREADS",), late, ())
        return SimpleNamespace(stash=stash)

    def test_what_is_loaded_later_sees_our_variables(self, environ: dict[str, str]) -> None:
        """So the environment as it is counts, and also without any limit."""
        environ |= {"OMP_NUM_THREADS": "1"}
        assert environ_at_load(self.config(())) == environ
        assert environ_at_load(self.config(None)) == environ

    def test_what_was_loaded_before_has_not_seen_them(self, environ: dict[str, str]) -> None:
        """What the user had set is seen all the same."""
        environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}
        assert environ_at_load(self.config(("numpy",))) == {"OPENBLAS_NUM_THREADS": "2"}


# --- Libraries that were loaded before --------------------------------------------------------------------------------


class FakeThreadpoolctl(ModuleType):
    """As much of threadpoolctl 3 as is used, with libraries that are only numbers."""

    def __init__(self, **threads: int | None) -> None:
        super().__init__("threadpoolctl")
        self.threads = threads

    def ThreadpoolController(self) -> FakeThreadpoolctl:  # noqa: N802 - its name there
        """Return what knows the loaded libraries."""
        return self

    def info(self) -> list[dict[str, object]]:
        """Describe each library; here its path is its runtime's name."""
        return [
            {"filepath": name, "internal_api": name, "num_threads": number} for name, number in self.threads.items()
        ]

    def select(self, *, filepath: list[str]) -> FakeSelection:
        """Return some of the libraries."""
        return FakeSelection(self, filepath)


class FakeSelection:
    """Some libraries."""

    def __init__(self, owner: FakeThreadpoolctl, names: list[str]) -> None:
        self._owner = owner
        self._names = names

    @contextlib.contextmanager
    def limit(self, *, limits: int) -> Iterator[None]:
        """Have them compute on so many threads."""
        before = dict(self._owner.threads)
        self._owner.threads.update(dict.fromkeys(self._names, limits))
        yield
        self._owner.threads.update(before)


class FakeTorch(ModuleType):
    """Torch's two functions."""

    def __init__(self, threads: int) -> None:
        super().__init__("torch")
        self.threads = threads

    def get_num_threads(self) -> int:
        """Return the number."""
        return self.threads

    def set_num_threads(self, number: int) -> None:
        """Set it."""
        self.threads = number


class TestLoadedLibraries:
    """Numbers in libraries that no longer look at the environment."""

    def test_blas_and_openmp_are_limited_and_given_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Through threadpoolctl."""
        fake = FakeThreadpoolctl(openblas=8, openmp=8, mkl=8)
        monkeypatch.setitem(sys.modules, "threadpoolctl", fake)
        unlimited, restore = loaded_libraries.limit(2, EVERY, ("numpy",))
        assert (unlimited, fake.threads) == ((), {"openblas": 2, "openmp": 2, "mkl": 2})
        restore()
        assert fake.threads == {"openblas": 8, "openmp": 8, "mkl": 8}

    def test_no_library_gets_more_threads_than_it_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A plugin may have had its reasons for one; a library that does not say its number is left alone."""
        fake = FakeThreadpoolctl(openblas=1, openmp=None)
        monkeypatch.setitem(sys.modules, "threadpoolctl", fake)
        loaded_libraries.limit(2, EVERY, ("numpy",))
        assert fake.threads == {"openblas": 1, "openmp": None}

    def test_what_the_user_decided_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A library whose variable was the user's, and one of which we know no variable."""
        fake = FakeThreadpoolctl(openblas=8, openmp=8, blis=8)
        torch = FakeTorch(8)
        monkeypatch.setitem(sys.modules, "threadpoolctl", fake)
        monkeypatch.setitem(sys.modules, "torch", torch)
        loaded_libraries.limit(2, {"OPENBLAS_NUM_THREADS"}, ("numpy", "torch"))
        assert fake.threads == {"openblas": 2, "openmp": 8, "blis": 8}
        assert torch.threads == 8

    @pytest.mark.parametrize("threadpoolctl", [None, ModuleType("threadpoolctl")], ids=["missing", "too-old"])
    def test_without_threadpoolctl_torch_can_still_be_limited(
        self, monkeypatch: pytest.MonkeyPatch, threadpoolctl: ModuleType | None
    ) -> None:
        """It has a function for that; numpy has none."""
        torch = FakeTorch(8)
        monkeypatch.setitem(sys.modules, "threadpoolctl", threadpoolctl)
        monkeypatch.setitem(sys.modules, "torch", torch)
        unlimited, restore = loaded_libraries.limit(2, EVERY, ("numpy", "torch"))
        assert (unlimited, torch.threads) == (("numpy",), 2)
        restore()
        assert torch.threads == 8

    def test_torch_gets_no_more_than_it_had(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nor is it touched by the end."""
        torch = FakeTorch(1)
        monkeypatch.setitem(sys.modules, "torch", torch)
        _, restore = loaded_libraries.limit(2, EVERY, ("torch",))
        restore()
        assert torch.threads == 1

    def test_a_torch_that_is_none_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """While it is being imported, its functions are missing."""
        monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
        unlimited, _ = loaded_libraries.limit(2, EVERY, ("torch",))
        assert unlimited == ()
