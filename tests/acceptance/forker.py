"""Imports pytest, and what it is told to, then forks a run for each request: the other side of ``prepared``.

It is run as a script. A request is a line of JSON; the answers are the run's process id and, when it has ended, its
exit code. Nothing else is imported here that pytest would not import too.
"""

import _thread
import atexit
import contextlib
import gc
import importlib
import inspect
import json
import os
import sys
from typing import Any

import pytest  # noqa: F401  -- for all that comes with it
from _pytest.config import default_plugins

ANSWER_BYTES = 8


def answer(fd: int, number: int) -> None:
    """Say a number."""
    os.write(fd, b"%*d" % (ANSWER_BYTES, number))


def serve(requests_fd: int, answers_fd: int) -> dict[str, Any]:
    """Fork runs until a line is empty, or nobody is left to write one; return the request only in such a run."""
    with open(requests_fd, "rb") as requests:
        for line in iter(requests.readline, b""):
            if not line.strip():
                break
            pid = os.fork()
            if not pid:
                os.close(answers_fd)
                request: dict[str, Any] = json.loads(line)
                return request
            answer(answers_fd, pid)
            answer(answers_fd, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Take over what the interpreter would have been started with."""
    nothing, write_end = os.pipe()
    os.close(write_end)
    outputs = [os.open(request[name], os.O_WRONLY) for name in ("stdout", "stderr")]
    for number, fd in enumerate([nothing, *outputs]):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    sys.orig_argv[1:] = request["command"]
    sys.path[:0] = [request["directory"], *filter(None, request["environment"]["PYTHONPATH"].split(os.pathsep))]


def run(module: str | None) -> None:
    """Run a module as ``python -m`` does, or the script that ``sys.argv`` begins with."""
    if module is not None:
        import runpy

        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return
    # Not run_path: it gives the script another name in sys.argv.
    main = vars(sys.modules["__main__"])
    main["__file__"] = os.path.abspath(sys.argv[0])
    with open(sys.argv[0], "rb") as file:
        code = compile(file.read(), main["__file__"], "exec")
    exec(code, main)


def live(order: dict[str, Any]) -> None:
    """Be the run that is asked for, or one of its workers."""
    worker = nursery.open_nursery() if order["forks_workers"] else None
    if worker is not None:
        nursery.be_worker(worker)
        return
    become(order)
    if not order["has_workers"]:
        # The collector does not look at what was there, which would copy it; one with workers sees to that itself.
        gc.freeze()
    run(order["module"])


def end(code: object) -> None:
    """End as an interpreter does, but for taking all objects apart: they are the forker's, and would be copied for it.

    Returns where that might make a difference: beside threads, or where the rest cannot be done.
    """
    if _thread._count() or not isinstance(code, int | None):
        return
    with contextlib.suppress(BaseException):  # The interpreter's own end says what is wrong.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    for plugin in default_plugins:
        importlib.import_module(f"_pytest.{plugin}")
    fds, modules = sys.argv[1:3], sys.argv[3:]
    for name in modules:
        importlib.import_module(name)
    if "coverage" in modules:
        # It takes a stack when it begins to measure. For that inspect looks for the file of every module, once.
        inspect.getmodule(serve.__code__)
    known = set(sys.modules)
    import known_code  # type: ignore[import-not-found]  # beside this script, like the other one
    import nursery  # type: ignore[import-not-found]

    known_code.know_code("pytest_parpool")
    for name in set(sys.modules) - known:
        del sys.modules[name]
    del sys.path[0]  # the directory of this script
    gc.collect()
    try:
        live(serve(*map(int, fds)))
    except SystemExit as leaving:
        end(leaving.code)
        raise
    end(0)
