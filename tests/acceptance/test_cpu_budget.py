"""Tests and what they start share the slots of a run: native libraries by variables, make by a jobserver."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from pytest_parpool.budget.native_limits import VARIABLES
from tests.acceptance import openmp
from tests.acceptance.runs import add_happenings, happened, notes, run

# Says what libraries would find: when the first conftest is imported, and in a test.
TELLING = """
    import os
    import happenings

    NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT")

    def tell(name):
        happenings.tell(name, " ".join(os.environ.get(variable, "-") for variable in NAMES))
"""

TELLING_CONFTEST = """
    import telling

    telling.tell("conftest")
"""

TELLING_TEST = """
    import telling

    def test_environment():
        telling.tell("test")
"""


@pytest.fixture(autouse=True)
def _environment_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set by whoever runs these tests, such as this plugin."""
    for name in (*VARIABLES, "GOTO_NUM_THREADS", "NUMEXPR_MAX_THREADS", "MAKEFLAGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite that tells of its environment."""
    add_happenings(pytester)
    pytester.makepyfile(telling=TELLING, conftest=TELLING_CONFTEST, test_a=TELLING_TEST)
    return pytester


# --- Native libraries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("-n 2", "1 1 1 1 1"),
        ("-n auto", "1 1 1 1 1"),
        ("-n 2 --parpool-cpus 9", "4 4 4 4 4"),
        ("-n 2 -o parpool_cpus=6", "3 3 3 3 3"),
        ("-n 0", "- - - - -"),
        ("", "- - - - -"),
        ("-n 2 -o parpool_limit_native_threads=false", "- - - - -"),
    ],
)
def test_each_worker_has_its_share_of_threads(suite: pytest.Pytester, arguments: str, told: str) -> None:
    """The variables are there when the first conftest is imported; without workers, or switched off, none is."""
    run(suite, *arguments.split()).assert_outcomes(passed=1)
    assert (happened(suite, "conftest"), happened(suite, "test")) == (told, told)


def test_options_of_the_ini_file_count(suite: pytest.Pytester) -> None:
    """Workers that addopts asks for are workers."""
    suite.makeini("[pytest]\naddopts = -n 2\nparpool_cpus = 4\n")
    run(suite).assert_outcomes(passed=1)
    assert happened(suite, "conftest") == "2 2 2 2 2"


def test_what_the_user_set_is_kept(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a more special variable set beside it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    result = run(suite, "-n", "2", "-v")
    assert happened(suite, "test") == "3 - - - 1"
    result.stdout.fnmatch_lines(["parpool: native libraries use 1 thread each (LOKY_MAX_CPU_COUNT)"])


def test_what_a_conftest_sets_is_kept(suite: pytest.Pytester) -> None:
    """It comes later, and what it says is what its tests find."""
    suite.makeconftest("import os\nos.environ['OMP_NUM_THREADS'] = '3'\n")
    run(suite, "-n", "2").assert_outcomes(passed=1)
    assert happened(suite, "test") == "3 1 1 1 1"


@pytest.mark.start_method("fork")
def test_the_header_says_it_if_asked(suite: pytest.Pytester) -> None:
    """One line with ``-v``, none without."""
    line = (
        "parpool: native libraries use 2 threads each (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, MKL_NUM_THREADS, "
        "NUMEXPR_NUM_THREADS, LOKY_MAX_CPU_COUNT)"
    )
    arguments = ("-n", "2", "--parpool-cpus", "4")
    assert run(suite, *arguments, "-v").outlines.count(line) == 1
    run(suite, *arguments).stdout.no_fnmatch_line("parpool: native*")


@pytest.mark.start_method("fork")
def test_a_bad_number_is_refused(suite: pytest.Pytester) -> None:
    """In one line, with exit code 4."""
    result = run(suite, "-n", "2", "--parpool-cpus", "many")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --parpool-cpus: 'many' is not allowed; give a whole number >= 1" in result.errlines


def test_the_environment_is_as_it_was_at_the_end(suite: pytest.Pytester) -> None:
    """A program that calls ``pytest.main`` goes on as before, also if the run was refused."""
    program = suite.makepyfile(
        program="""
        import os
        import pytest

        before = dict(os.environ)
        assert pytest.main(["-n2", "-q", "-o", "parpool_jobserver=true"]) == 0
        assert dict(os.environ) == before
        assert pytest.main(["-n2", "--max-worker-restart=-1"]) == 4
        assert dict(os.environ) == before
        """
    )
    assert suite.runpython(program).ret == 0
    assert happened(suite, "test") == "1 1 1 1 1"


def test_numpy_starts_no_threads_of_its_own(pytester: pytest.Pytester) -> None:
    """With a slot for each worker, an OpenBLAS that a conftest loads computes on the worker's thread."""
    pytester.makeconftest("import numpy")
    pytester.makepyfile(
        """
        import os
        import numpy

        def test_threads():
            square = numpy.ones((500, 500))
            assert (square @ square)[0, 0] == 500
            assert len(os.listdir("/proc/self/task")) == 1
        """
    )
    run(pytester, "-n", "1").assert_outcomes(passed=1)


@pytest.mark.start_method("fork")
def test_numpy_that_was_there_before_is_no_reason_for_a_warning(pytester: pytest.Pytester) -> None:
    """Its threads, more than the variables say now, are not put down to an OpenMP that was never used."""
    library = openmp.build(pytester.path)
    if library is None:
        pytest.skip("no C compiler")
    pytester.makepyfile(early="import numpy", test_a="def test_one(): pass\ndef test_two(): pass")
    pytester.makeconftest(f"import ctypes\nctypes.CDLL({str(library)!r})")
    pytester.syspathinsert()
    result = run(pytester, "-p", "early", "-n", "2", "--start-method", "fork", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("parpool: *native threads*")


# --- Make and its like ------------------------------------------------------------------------------------------------

# One job of a build: it ends when so many jobs have begun, by whichever test.
JOB = """
    import sys
    import happenings

    happenings.note("jobs", "begun")
    happenings.wait_until(lambda: happenings.notes("jobs").count("begun") >= int(sys.argv[1]))
    happenings.note("jobs", "ended")
"""

# As little of make as can share slots: it runs six jobs, the first of them without a token, and waits for a token or
# for the end of a job, whichever comes first.
CLIENT = """
    import os
    import re
    import select
    import subprocess
    import sys
    import threading

    JOBS = 6

    def build(meeting):
        reader, writer = open_jobserver()
        ended, tell_end = os.pipe()
        tokens, codes, free = {}, {}, [b""]

        def run(number):
            codes[number] = subprocess.call([sys.executable, "job.py", str(meeting)])
            os.write(tell_end, bytes([number]))

        for number in range(JOBS):
            while (token := take(reader, free)) is None:
                if ended in select.select([reader, ended], [], [])[0]:
                    give_back(writer, tokens.pop(os.read(ended, 1)[0]), free)
            tokens[number] = token
            threading.Thread(target=run, args=[number]).start()
        while tokens:
            give_back(writer, tokens.pop(os.read(ended, 1)[0]), free)
        assert set(codes.values()) == {0}

    def open_jobserver():
        auth = re.findall(r"--jobserver-auth=(\\S+)", os.environ["MAKEFLAGS"])[-1]
        if auth.startswith("fifo:"):
            reader = writer = os.open(auth[5:], os.O_RDWR)
        else:
            reader, writer = map(int, auth.split(","))
        os.set_blocking(reader, False)
        return reader, writer

    def take(reader, free):
        if free:
            return free.pop()
        try:
            return os.read(reader, 1)
        except BlockingIOError:
            return None

    def give_back(writer, token, free):
        if token:
            os.write(writer, token)
        else:
            free.append(token)
"""

MAKE = """
    import subprocess
    import sys

    def build(meeting):
        # Whoever builds with a make that is older than 4.4 has to hand on the descriptors.
        command = ["make", f"JOB={sys.executable} job.py {meeting}"]
        subprocess.run(command, check=True, close_fds=False)
"""

MAKEFILE = "all: a b c d e f\na b c d e f:\n\t@$(JOB)\n.PHONY: all a b c d e f\n"

MAKES = pytest.mark.parametrize(
    "build",
    [
        pytest.param(CLIENT, id="protocol"),
        pytest.param(MAKE, id="make", marks=pytest.mark.skipif(shutil.which("make") is None, reason="no make")),
    ],
)


def most_at_once(pytester: pytest.Pytester) -> int:
    """Return how many jobs ran at the same time at most."""
    running = most = 0
    for word in notes(pytester, "jobs"):
        running += 1 if word == "begun" else -1
        most = max(most, running)
    return most


@pytest.fixture
def builds(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder in which something can be built."""
    add_happenings(pytester)
    pytester.makepyfile(job=JOB)
    (pytester.path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    return pytester


@MAKES
def test_builds_of_several_tests_share_the_slots(builds: pytest.Pytester, build: str) -> None:
    """Two tests that build at the same time run four jobs on four slots: all of them at some time, and never more."""
    builds.makepyfile(
        building=build,
        test_a="import building\n\ndef test_one(): building.build(4)\ndef test_two(): building.build(4)\n",
    )
    result = run(builds, "-n", "2", "--parpool-cpus", "4", "-o", "parpool_jobserver=true", "--maxschedchunk=1", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["parpool: make, ninja and cargo share 4 CPU slots with the tests (MAKEFLAGS)"])
    assert most_at_once(builds) == 4
    assert notes(builds, "jobs").count("ended") == 12


@MAKES
def test_a_worker_that_has_left_leaves_its_slot(builds: pytest.Pytester, build: str) -> None:
    """The last test's build gets the slots of those that have nothing more to do: two of two, here."""
    # The first job goes on without its meeting only when a second one runs beside it.
    builds.makepyfile(
        building=build, test_a="import building\n\ndef test_one(): pass\ndef test_two(): building.build(2)\n"
    )
    result = run(builds, "-n", "2", "-o", "parpool_jobserver=true", "--maxschedchunk=1")
    result.assert_outcomes(passed=2)
    assert most_at_once(builds) == 2


def test_the_pipe_is_gone_at_the_end(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also if a worker was killed; and tests find it in a place of their own."""
    # Without make the jobserver has a path, whichever make this machine has.
    monkeypatch.setenv("PATH", str(tmp_path))
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    add_happenings(pytester)
    pytester.makepyfile(
        """
        import os
        import signal
        import happenings

        def test_flags():
            happenings.tell("flags", os.environ["MAKEFLAGS"])
            happenings.tell("is-pipe", os.path.exists(os.environ["MAKEFLAGS"].partition("fifo:")[2]))

        def test_death():
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    result = run(pytester, "-n", "2", "--parpool-cpus", "3", "-o", "parpool_jobserver=true")
    result.assert_outcomes(passed=1, failed=1)
    assert happened(pytester, "flags").startswith(f" -j3 --jobserver-auth=fifo:{place}/pytest-parpool-jobserver-")
    assert happened(pytester, "is-pipe") == "True"
    assert [path for path in place.iterdir() if "jobserver" in path.name] == []


def test_a_jobserver_that_is_there_is_used(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs pytest from a makefile shares make's own slots."""
    flags = " -j4 --jobserver-auth=fifo:/of/somebody/else"
    monkeypatch.setenv("MAKEFLAGS", flags)
    pytester.makepyfile(f"import os\ndef test_flags(): assert os.environ['MAKEFLAGS'] == {flags!r}")
    result = run(pytester, "-n", "1", "-v", "-o", "parpool_jobserver=true")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["parpool: MAKEFLAGS names a jobserver already, which tests use"])


@pytest.mark.start_method("fork")
@pytest.mark.parametrize("arguments", ["-n 1", "-n 0 -o parpool_jobserver=true"])
def test_without_the_setting_or_workers_there_is_none(pytester: pytest.Pytester, arguments: str) -> None:
    """``MAKEFLAGS`` is left alone."""
    pytester.makepyfile("import os\ndef test_flags(): assert 'MAKEFLAGS' not in os.environ")
    run(pytester, *arguments.split()).assert_outcomes(passed=1)


@pytest.mark.start_method("fork")
def test_a_make_that_is_too_old_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one line, before anything is collected."""
    make = tmp_path / "make"
    make.write_text(f"#!{sys.executable}\nprint('GNU Make 3.81')\n", encoding="utf-8")
    make.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    result = run(pytester, "-n", "1", "-o", "parpool_jobserver=true")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line.startswith("ERROR: ini option parpool_jobserver: GNU make 3.81")]
