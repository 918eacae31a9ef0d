"""Warnings between the two sides.

Nothing that arrives may run code, so a category is looked up among what is imported here, never imported; one that is
unknown here (a test defined it) is stood in for by a class of the same name.
"""

from __future__ import annotations

import marshal
import sys
import warnings
from typing import Any

from pytest_parpool.model.records import Record, record
from pytest_parpool.wire import plain


@record
class RecordedWarning(Record):
    """The arguments of ``pytest_warning_recorded``."""

    message: warnings.WarningMessage
    when: Any
    nodeid: str
    location: tuple[str, int, str] | None


def dump_warning(recorded: RecordedWarning) -> bytes:
    """Return a warning as bytes."""
    message = recorded.message
    category = message.category
    fields = (
        category.__module__,
        category.__qualname__,
        str(message.message),
        message.filename,
        message.lineno,
        message.line,
        recorded.when,
        recorded.nodeid,
        recorded.location,
    )
    data, _ = plain.dumps(fields)
    return data


def load_warning(data: bytes) -> RecordedWarning:
    """Return what ``dump_warning`` saw; the message object has the text of the original, and no other attribute."""
    module, qualname, text, filename, lineno, line, when, nodeid, location = marshal.loads(data)
    category = _category(module, qualname)
    message = warnings.WarningMessage(
        message=_message(category, text), category=category, filename=filename, lineno=lineno, line=line
    )
    return RecordedWarning(message, when, nodeid, location)


def _category(module: str, qualname: str) -> type[Warning]:
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        return found
    return type(qualname.rpartition(".")[2], (Warning,), {"__module__": module})


def _message(category: type[Warning], text: str) -> Warning:
    """Return an instance that shows ``text``, without calling the category's own constructor."""
    try:
        message = category.__new__(category, text)
        Warning.__init__(message, text)
        if str(message) == text:
            return message
    except Exception:  # noqa: BLE001  -- the class is a user's; a plain warning shows the same text
        pass
    return Warning(text)
