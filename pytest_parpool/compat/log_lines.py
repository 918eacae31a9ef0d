"""Log lines of several processes in one ``--log-file``: each whole, and each can say whose it is."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Any

import pytest

from pytest_parpool.compat import pytest_internals

_ATTRIBUTE = "worker_id"


class _WorkerIdFilter(logging.Filter):
    """Lets every record through, with the id of the worker that logs it; ``master`` where there are none."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker_id = os.environ.get("PYTEST_XDIST_WORKER", "master")
        return True


def offer_worker_id(config: pytest.Config) -> None:
    """Have ``%(worker_id)s`` known to pytest's log formats, if one of them asks for it; in every run, so that it may.

    A filter, because formats must find it in the record.
    """
    handlers = pytest_internals.log_handlers(config)
    if any(_ATTRIBUTE in pytest_internals.log_format(handler) for handler in handlers):
        for handler in handlers:
            handler.addFilter(_WorkerIdFilter())


def keep_lines_whole(config: pytest.Config) -> None:
    """Have each record of ``--log-file`` be one write to the file's end. Called before anything is forked.

    Every process that is forked from here writes to the same open file, which appends atomically (``O_APPEND``,
    write(2)). With a buffer in between, a record longer than that would be written in pieces.
    """
    handler: Any = pytest_internals.log_file_handler(config)
    if handler is None:
        return
    old = handler.stream
    new = io.TextIOWrapper(
        _open_to_append(old),
        encoding=old.encoding,
        errors=old.errors,
        write_through=True,
    )
    handler.setStream(new)
    old.close()


def _open_to_append(file: Any) -> io.FileIO:
    """Return an open file once more, such that everything is written to its end in one step."""
    if sys.platform == "win32":
        from pytest_parpool.runtime.windows.shared_file import SharedFile

        return SharedFile(file.name)
    import fcntl

    fd = os.dup(file.fileno())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return io.FileIO(fd, "w")
