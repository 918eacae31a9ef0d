"""The jobserver: what MAKEFLAGS says, what is in the pipe, and which make gets which form."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_parpool.budget import jobserver_plugin
from pytest_parpool.budget.jobserver import MOST_TOKENS, Jobserver, ask_make_version
from pytest_parpool.budget.jobserver_plugin import JobserverPlugin
from pytest_parpool.budget.makeflags import find_jobserver, parse_make_version, with_fifo, with_other_pipe, with_pipe
from pytest_parpool.errors import BadSettingError


def tokens_in(fd: int) -> int:
    """Take all tokens out of a pipe and count them."""
    os.set_blocking(fd, False)
    try:
        return len(os.read(fd, 2 * MOST_TOKENS))
    except BlockingIOError:
        return 0


# --- MAKEFLAGS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", " -j4 --jobserver-auth=fifo:/f"),
        ("k", "k -j4 --jobserver-auth=fifo:/f"),
        (" -j9 --no-print-directory", " -j9 --no-print-directory -j4 --jobserver-auth=fifo:/f"),
        ("k -- CC=gcc A=--", "k -j4 --jobserver-auth=fifo:/f -- CC=gcc A=--"),
        ("-- CC=gcc", " -j4 --jobserver-auth=fifo:/f -- CC=gcc"),
        ("--", " -j4 --jobserver-auth=fifo:/f --"),
    ],
)
def test_options_come_before_definitions(before: str, after: str) -> None:
    """What the user had is kept, and no word of ours is taken for one-letter options or for a variable."""
    assert with_fifo(before, 4, "/f") == after


def test_a_pipe_is_named_by_its_descriptors() -> None:
    """Without a number of jobs, which make 4.2 would obey in its place."""
    assert with_pipe("k", 7, 8) == "k -j --jobserver-auth=7,8"


def test_a_pipe_gets_other_descriptors() -> None:
    """Nothing else changes, and what names no jobserver stays as it is."""
    assert with_other_pipe("k -j --jobserver-auth=7,8 -- A=b", 3, 14) == "k -j --jobserver-auth=3,14 -- A=b"
    assert with_other_pipe("k", 3, 14) == "k"


@pytest.mark.parametrize(
    ("makeflags", "found"),
    [
        ("", None),
        ("k -j4", None),
        (" -j4 --jobserver-auth=3,4", "3,4"),
        ("--jobserver-auth=fifo:/tmp/f -j", "fifo:/tmp/f"),
        (" --jobserver-fds=3,4 -j", "3,4"),
        (" --jobserver-auth=3,4 --jobserver-auth=fifo:/f", "fifo:/f"),
        (" --jobserver-auth=3,4 --jobserver-auth=-2,-2", None),
    ],
)
def test_a_jobserver_is_found_as_make_finds_it(makeflags: str, found: str | None) -> None:
    """The last word counts, and two negative numbers mean that there is none."""
    assert find_jobserver(makeflags) == found


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu\n", (4, 3)),
        ("GNU Make 4.4.1\n", (4, 4)),
        ("GNU Make 4.10\n", (4, 10)),
        ("usage: make [-BeikNnqrSstWwX]\n", None),
        ("", None),
    ],
)
def test_the_version_of_make_is_read(text: str, version: tuple[int, int] | None) -> None:
    """A make of another kind has none."""
    assert parse_make_version(text) == version


# --- The pipe ---------------------------------------------------------------------------------------------------------


def test_a_client_takes_and_returns_tokens() -> None:
    """A client that knows the path finds the tokens, none beyond them, and others find what it puts back."""
    with Jobserver(is_named=True) as server:
        server.add_tokens(2)
        path = find_jobserver(server.makeflags("", 4))
        assert path is not None
        client = os.open(path.removeprefix("fifo:"), os.O_RDWR | os.O_NONBLOCK)
        try:
            assert os.read(client, 1) == os.read(client, 1) == b"+"
            with pytest.raises(BlockingIOError):
                os.read(client, 1)
            os.write(client, b"+")
            server.add_tokens(1)
            assert tokens_in(client) == 2
        finally:
            os.close(client)


def test_the_pipe_is_private_and_goes_with_its_owner() -> None:
    """Nobody else may take tokens, and nothing is left behind."""
    with Jobserver(is_named=True) as server:
        path = Path(str(find_jobserver(server.makeflags("", 1))).removeprefix("fifo:"))
        assert stat.S_ISFIFO(path.stat().st_mode)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_descriptors_are_inherited() -> None:
    """Without a path, children have the pipe open; the numbers are those in MAKEFLAGS."""
    with Jobserver(is_named=False) as server:
        server.add_tokens(3)
        reader, writer = map(int, str(find_jobserver(server.makeflags("", 4))).split(","))
        assert os.get_inheritable(reader)
        assert os.get_inheritable(writer)
        os.write(writer, b"+")
        assert tokens_in(reader) == 4


@pytest.mark.parametrize("is_named", [True, False])
def test_as_many_tokens_as_there_may_be_fit_in(is_named: bool) -> None:
    """Writing them does not wait for a reader."""
    with Jobserver(is_named=is_named) as server:
        os.set_blocking(server._writer, False)
        server.add_tokens(MOST_TOKENS)
        assert tokens_in(server._reader) == MOST_TOKENS


def test_a_pipe_that_cannot_be_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even its directory."""

    def fail(path: str, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("os.mkfifo", fail)
    with pytest.raises(PermissionError):
        Jobserver(is_named=True)
    assert list(tmp_path.iterdir()) == []


# --- A token for each free slot ---------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Jobserver]:
    """A jobserver without tokens."""
    with Jobserver(is_named=False) as server:
        yield server


class TestFreeSlots:
    """What the run offers."""

    @pytest.mark.parametrize(("slots", "workers", "tokens"), [(5, 2, 3), (2, 2, 0), (1, 4, 0), (4, 1, 3)])
    def test_what_workers_leave_is_offered(self, server: Jobserver, slots: int, workers: int, tokens: int) -> None:
        """Each worker has the slot of its test; how many workers there are, is known when they are set up."""
        plugin = JobserverPlugin(server, slots, is_leaving_final=True)
        assert tokens_in(server._reader) == 0
        plugin.pytest_xdist_setupnodes([object()] * workers)
        assert tokens_in(server._reader) == tokens

    def test_who_leaves_gives_its_slot(self, server: Jobserver) -> None:
        """One token for each worker that has nothing more to do."""
        plugin = JobserverPlugin(server, 2, is_leaving_final=True)
        plugin.pytest_xdist_setupnodes([object(), object()])
        plugin.pytest_testnodedown(error=None)
        assert tokens_in(server._reader) == 1
        plugin.pytest_testnodedown(error=None)
        assert tokens_in(server._reader) == 1

    def test_there_are_never_more_tokens_than_free_slots(self, server: Jobserver) -> None:
        """Workers beyond the slots leave nothing when they go."""
        plugin = JobserverPlugin(server, 1, is_leaving_final=True)
        plugin.pytest_xdist_setupnodes([object()] * 3)
        plugin.pytest_testnodedown(error=None)
        plugin.pytest_testnodedown(error=None)
        assert tokens_in(server._reader) == 0

    def test_who_died_or_is_replaced_keeps_its_slot(self, server: Jobserver) -> None:
        """Its successor needs it."""
        plugin = JobserverPlugin(server, 2, is_leaving_final=True)
        plugin.pytest_xdist_setupnodes([object(), object()])
        plugin.pytest_testnodedown(error="Not properly terminated: killed by SIGKILL")
        recycling = JobserverPlugin(server, 2, is_leaving_final=False)
        recycling.pytest_xdist_setupnodes([object(), object()])
        recycling.pytest_testnodedown(error=None)
        assert tokens_in(server._reader) == 0

    def test_a_million_slots_do_not_block(self, server: Jobserver) -> None:
        """A pipe holds a limited number of tokens."""
        plugin = JobserverPlugin(server, 1_000_000, is_leaving_final=True)
        plugin.pytest_xdist_setupnodes([object(), object()])
        plugin.pytest_testnodedown(error=None)
        assert tokens_in(server._reader) == MOST_TOKENS


# --- Which form -------------------------------------------------------------------------------------------------------


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only program in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder / "make"


def write_make(path: Path, text: str) -> None:
    """Write a program that prints a text, and nothing if it sees MAKEFLAGS."""
    path.write_text(f'#!/bin/sh\n[ -n "$MAKEFLAGS" ] || echo "{text}"\n')
    path.chmod(0o755)


class TestForms:
    """Which form the make of a machine understands."""

    @pytest.mark.parametrize(
        ("text", "form"),
        [
            ("GNU Make 4.3", "-j --jobserver-auth="),
            ("GNU Make 4.4.1", "-j4 --jobserver-auth=fifo:"),
            ("bmake", "-j4 --jobserver-auth=fifo:"),
        ],
    )
    def test_the_form_is_that_of_make(self, make: Path, monkeypatch: pytest.MonkeyPatch, text: str, form: str) -> None:
        """A path since 4.4, which is what ninja wants too; and for whatever is not GNU make."""
        write_make(make, text)
        monkeypatch.setenv("MAKEFLAGS", "k")
        with jobserver_plugin._make_server() as server:
            assert form in server.makeflags("", 4)

    def test_without_make_it_has_a_path(self, make: Path) -> None:
        """For ninja and cargo."""
        assert not make.exists()
        assert ask_make_version() is None
        with jobserver_plugin._make_server() as server:
            assert "fifo:" in server.makeflags("", 4)

    def test_a_make_that_cannot_run_is_none(self, make: Path) -> None:
        """It could not run in a test either."""
        make.write_text("#!/no/such/interpreter\n")
        make.chmod(0o755)
        assert ask_make_version() is None

    def test_a_make_that_would_stop_is_refused(self, make: Path) -> None:
        """Before 4.2 it ends with an error if it finds the option."""
        write_make(make, "GNU Make 3.81")
        with pytest.raises(BadSettingError, match=r"^ini option parpool_jobserver: GNU make 3\.81 is too old .* 4\.2"):
            jobserver_plugin._make_server()

    def test_a_path_with_a_blank_is_refused(self, make: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Clients would look for half of it."""
        monkeypatch.setattr("tempfile.tempdir", "/my tmp")
        with pytest.raises(BadSettingError, match=r"^ini option parpool_jobserver: .*'/my tmp'.*set TMPDIR$"):
            jobserver_plugin._make_server()

    def test_a_platform_without_named_pipes_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In one line."""
        monkeypatch.delattr("os.mkfifo")
        with pytest.raises(BadSettingError, match=r"^ini option parpool_jobserver: true is not allowed"):
            jobserver_plugin._make_server()

    def test_a_directory_that_cannot_be_written_is_named(
        self, make: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The system's reason is part of the one line."""
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
        monkeypatch.delenv("MAKEFLAGS", raising=False)
        config: Any = None
        settings: Any = type("Slots", (), {"cpu_slots": 4})
        with pytest.raises(BadSettingError, match=r"^ini option parpool_jobserver: .*No such file.*set TMPDIR"):
            jobserver_plugin.start(config, settings)


# --- Processes without the descriptors --------------------------------------------------------------------------------


class Config:
    """What is used of pytest's config to start a jobserver."""

    def __init__(self) -> None:
        self.pluginmanager = pytest.PytestPluginManager()
        self._cleanups: list[Any] = []

    def add_cleanup(self, function: Any) -> None:
        """Keep it for ``clean_up``."""
        self._cleanups.append(function)

    def clean_up(self) -> None:
        """Call what was kept."""
        for function in self._cleanups:
            function()


SETTINGS: Any = type("Settings", (), {"cpu_slots": 4, "max_tasks_per_child": None})


@pytest.fixture
def config(make: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The config of a run whose make is too old for a path."""
    write_make(make, "GNU Make 4.3")
    monkeypatch.setenv("MAKEFLAGS", "k")
    monkeypatch.delenv(jobserver_plugin.PIPE_VARIABLE, raising=False)
    config = Config()
    yield config
    config.clean_up()


class TestJoining:
    """What a spawned worker does, which has inherited no descriptors."""

    def test_it_opens_the_pipe_by_its_path(self, config: Any) -> None:
        """And MAKEFLAGS says its own descriptors, which its children inherit."""
        jobserver_plugin.start(config, SETTINGS)
        config.pluginmanager.get_plugin("parpool-jobserver").pytest_xdist_setupnodes([object()])
        of_controller = os.environ["MAKEFLAGS"]
        jobserver_plugin.join()
        assert os.environ["MAKEFLAGS"] != of_controller
        assert os.environ["MAKEFLAGS"].startswith("k -j --jobserver-auth=")
        reader, writer = map(int, str(find_jobserver(os.environ["MAKEFLAGS"])).split(","))
        try:
            assert os.get_inheritable(reader)
            assert os.get_inheritable(writer)
            assert tokens_in(reader) == 3
        finally:
            os.close(reader)
            os.close(writer)
            os.environ["MAKEFLAGS"] = of_controller

    def test_the_environment_is_given_back(self, config: Any) -> None:
        """All of it, at the end of the run."""
        jobserver_plugin.start(config, SETTINGS)
        assert jobserver_plugin.PIPE_VARIABLE in os.environ
        config.clean_up()
        config._cleanups.clear()
        assert os.environ["MAKEFLAGS"] == "k"
        assert jobserver_plugin.PIPE_VARIABLE not in os.environ

    def test_without_a_path_there_is_nothing_to_open(self, config: Any) -> None:
        """Clients find the pipe themselves, or there is none."""
        jobserver_plugin.join()
        assert os.environ["MAKEFLAGS"] == "k"

    def test_a_pipe_that_is_gone_is_passed_over(self, config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The controller has ended, so nobody runs tests any more."""
        monkeypatch.setenv(jobserver_plugin.PIPE_VARIABLE, "/no/such/pipe")
        jobserver_plugin.join()
        assert os.environ["MAKEFLAGS"] == "k"
