"""Why a controller is not forked, asked in real ones after their collection."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.acceptance import openmp
from tests.acceptance.runs import run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one reason for everything"),
    pytest.mark.start_method("fork"),  # No workers are started.
]

# Loaded before conftests are; without workers, so that nobody else watches.
ASKING = """
import json
import pathlib

import pytest

from pytest_parpool.compat import fork_safety

fork_safety.watch()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    reasons = fork_safety.reasons(session.config, ("allowed-*",))
    fork_safety.stop_watching()
    pathlib.Path("reasons.json").write_text(json.dumps(reasons))
"""

READ = "import os; os.environ.get('PYTEST_XDIST_WORKER')"


def reasons(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    """Run a suite, to which a test is added, and return what was said after its collection."""
    pytester.makepyfile(asking=ASKING, test_added="def test_added(): pass")
    result = run(pytester, "-p", "asking", "-p", "no:cacheprovider", *arguments)
    assert result.ret == 0
    found = json.loads((pytester.path / "reasons.json").read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner runs are not in a worker, even if this suite is."""
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST_")]:
        monkeypatch.delenv(name)


# --- Reads of the worker's id -----------------------------------------------------------------------------------------


def test_a_conftest_that_reads_the_id_at_import_is_named(pytester: pytest.Pytester) -> None:
    """The line is that of the file before pytest has rewritten its assertions."""
    pytester.makeconftest(
        "import os\n\nassert True\nDATABASE = 'db_' + os.environ.get('PYTEST_XDIST_WORKER', 'master')"
    )
    assert reasons(pytester) == [
        "conftest.py:4 reads PYTEST_XDIST_WORKER at import, which forked ones do not repeat",
    ]


def test_a_module_that_tests_import_is_named(pytester: pytest.Pytester) -> None:
    """Not who imported it; and a function that it calls is named by its own place."""
    pytester.mkpydir("app")
    pytester.makepyfile(
        **{
            "app/__init__": "",
            "app/names": "import os\n\ndef worker():\n    return os.getenv('PYTEST_XDIST_WORKER')",
            "app/settings": "from app import names\n\nWORKER = names.worker()",
            "test_app": "from app import settings\n\ndef test_app(): pass",
        }
    )
    assert reasons(pytester) == [
        "app/names.py:4 reads PYTEST_XDIST_WORKER at import, which forked ones do not repeat",
    ]


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param("pytest_generate_tests(metafunc)", id="generate-tests"),
        pytest.param("pytest_collection_modifyitems(items)", id="modify-items"),
        pytest.param("pytest_collection(session)", id="collection"),
        pytest.param("pytest_ignore_collect(collection_path)", id="ignore"),
    ],
)
def test_a_hook_of_collection_that_reads_the_id_is_named(pytester: pytest.Pytester, hook: str) -> None:
    """What it decides, it decides once, for the controller."""
    pytester.makeconftest(f"def {hook}:\n    {READ}")
    assert reasons(pytester) == [
        "conftest.py:2 reads PYTEST_XDIST_WORKER during collection, which forked ones do not repeat",
    ]


def test_an_options_default_that_reads_the_id_is_named(pytester: pytest.Pytester) -> None:
    """Options are registered once."""
    pytester.makeconftest(f"def pytest_addoption(parser):\n    {READ}")
    assert reasons(pytester) == [
        "conftest.py:2 reads PYTEST_XDIST_WORKER in pytest_addoption, which forked ones do not repeat",
    ]


def test_reads_that_workers_repeat_are_no_reason(pytester: pytest.Pytester) -> None:
    """Tests run there only, and hooks that look at the identity run again, also those of a conftest found late."""
    hooks = f"""
        def pytest_configure():
            {READ}

        def pytest_sessionstart():
            {READ}
    """
    pytester.makeconftest(hooks)
    late = pytester.mkpydir("late")
    (late / "conftest.py").write_text(f"def pytest_configure():\n    {READ}\n", encoding="utf-8")
    (late / "test_late.py").write_text(
        f"import pytest\n\n@pytest.fixture\ndef asking():\n    {READ}\n\ndef test_late(asking):\n    {READ}\n",
        encoding="utf-8",
    )
    assert reasons(pytester) == []


def test_an_installed_plugins_reads_are_no_reason(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its import nor its hooks of collection: plugins are written for workers, and looked at one by one."""
    plugin = pytester.path / "site-packages" / "pytest_some.py"
    plugin.parent.mkdir()
    plugin.write_text(f"{READ}\n\ndef pytest_collection_modifyitems():\n    {READ}\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(plugin.parent), prepend=os.pathsep)
    pytester.makeconftest("pytest_plugins = ['pytest_some']")
    assert reasons(pytester) == []


def test_a_script_that_starts_pytest_is_no_import(pytester: pytest.Pytester) -> None:
    """Its module's code is on the way to everything."""
    pytester.makepyfile(
        asking=ASKING,
        test_added="def test_added(): pass",
        conftest=f"def pytest_sessionstart():\n    {READ}\n\ndef pytest_report_header():\n    {READ}",
        start="import sys\nimport pytest\n\nsys.exit(pytest.main(['-p', 'asking', '-p', 'no:cacheprovider']))",
    )
    assert pytester.runpython(pytester.path / "start.py").ret == 0
    assert (pytester.path / "reasons.json").read_text(encoding="utf-8") == "[]"


# --- Threads ----------------------------------------------------------------------------------------------------------


def test_a_thread_of_a_conftest_is_named(pytester: pytest.Pytester) -> None:
    """With the function that it was started for."""
    pytester.makeconftest(
        """
        import threading

        def poll():
            threading.Event().wait()

        threading.Thread(target=poll, name="poller", daemon=True).start()
        """
    )
    assert reasons(pytester) == [
        "the thread 'poller' (conftest.poll, conftest.py:3) would be missing in forked ones",
    ]


def test_an_executor_that_was_used_is_named(pytester: pytest.Pytester) -> None:
    """Its idle threads would be missing, and it would not start others."""
    pytester.makeconftest(
        """
        from concurrent.futures import ThreadPoolExecutor

        EXECUTOR = ThreadPoolExecutor(1, thread_name_prefix="import")
        EXECUTOR.submit(print).result()
        """
    )
    assert reasons(pytester) == [
        "the thread 'import_0' (concurrent.futures.thread._worker) would be missing in forked ones",
    ]


def test_threads_that_have_ended_are_no_reason(pytester: pytest.Pytester) -> None:
    """An executor that is shut down has none."""
    pytester.makeconftest(
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(2) as executor:
            list(executor.map(abs, range(9)))
        """
    )
    assert reasons(pytester) == []


def test_native_threads_are_named(pytester: pytest.Pytester) -> None:
    """As in the warning of a fork that was asked for."""
    library = openmp.build(pytester.path)
    if library is None:
        pytest.skip("no C compiler")
    pytester.makeconftest(f"import ctypes\n\nassert ctypes.CDLL({str(library)!r}).run_parallel_region() == 2")
    found = reasons(pytester)
    assert len(found) == 1
    assert found[0].startswith("native threads would be missing in forked ones: libgomp (GNU OpenMP, ")


# --- Sockets ----------------------------------------------------------------------------------------------------------

SERVER = """
import socket
import threading

class Server:
    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))

    def serve(self):
        connection, _ = self.sock.accept()
        connection.recv(1)

server = Server()
"""


def test_a_connection_is_named_with_both_ends(pytester: pytest.Pytester) -> None:
    """It would be one for all workers."""
    pytester.makeconftest(SERVER + "client = socket.create_connection(server.sock.getsockname())")
    found = reasons(pytester)
    assert len(found) == 2
    assert found[0].startswith("the listening socket at 127.0.0.1:")
    assert found[1].startswith("the connection from 127.0.0.1:")
    assert found[1].endswith(" would be shared by forked ones")


def test_an_allowed_thread_may_have_a_server(pytester: pytest.Pytester) -> None:
    """Both were opened for the controller, and the user knows it."""
    pytester.makeconftest(
        SERVER + "threading.Thread(target=server.serve, name='allowed-server', daemon=True).start()",
    )
    assert reasons(pytester) == []


def test_what_was_open_at_the_start_is_no_reason(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """A CI or a debugger has its own connection to the run."""
    start = tmp_path / "start.py"
    start.write_text(f"{SERVER}\nimport sys\nimport pytest\n\nsys.exit(pytest.main())\n", encoding="utf-8")
    pytester.makepyfile(asking=ASKING, test_added="def test_added(): pass")
    assert pytester.run(sys.executable, start, "-p", "asking", "-p", "no:cacheprovider").ret == 0
    assert (pytester.path / "reasons.json").read_text(encoding="utf-8") == "[]"


# --- Suites that have nothing of that kind ----------------------------------------------------------------------------


@pytest.mark.beside_others
@pytest.mark.parametrize("arguments", [(), ("-s",), ("--cov",), ("--log-file=all.log", "--junitxml=junit.xml")])
def test_an_ordinary_suite_is_forked(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """Nothing that counts is left by pytest and coverage, nor by event loops, numpy, or children that ended."""
    pytester.makeconftest(
        """
        import asyncio
        import os
        import subprocess
        import sys
        import tempfile

        import numpy

        LOOP = asyncio.new_event_loop()
        LOOP.run_until_complete(asyncio.sleep(0))
        MATRIX = numpy.ones((300, 300)) @ numpy.ones((300, 300))
        FILE = tempfile.TemporaryFile()
        ENVIRONMENT = {**os.environ}
        subprocess.run([sys.executable, "-c", "pass"], capture_output=True, env=ENVIRONMENT)
        os.environ["PYTEST_XDIST_WORKER"] = "gw0"
        del os.environ["PYTEST_XDIST_WORKER"]
        """
    )
    assert reasons(pytester, *arguments) == []
