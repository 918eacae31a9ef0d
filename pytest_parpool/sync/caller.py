"""Finds the user's line: the innermost one that is neither in this package nor in ``contextlib``."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from types import FrameType
from typing import Final

_getframe = sys._getframe  # noqa: SLF001  -- ``inspect`` does the same, slowly
_warn_explicit = warnings.warn_explicit

_HERE: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CONTEXTLIB: Final = contextlib.__file__
try:
    _CWD = os.getcwd() + os.sep
except FileNotFoundError:  # It was removed; then no file is below it.
    _CWD = os.sep * 2
# From a code object's file name to what is shown, or None if it is not the user's.
_shown: dict[str, str | None] = {}


def _show(file_name: str) -> str | None:
    if file_name == _CONTEXTLIB or file_name.startswith(_HERE):
        shown = None
    elif file_name.startswith(_CWD):
        shown = file_name[len(_CWD) :]
    else:
        shown = file_name
    _shown[file_name] = shown
    return shown


def find_line() -> str:
    """Return the user's line as ``path:line``; the path is relative to where the process began, if it is below."""
    frame: FrameType | None = _getframe(1)
    while frame is not None:
        file_name = frame.f_code.co_filename
        try:
            shown = _shown[file_name]
        except KeyError:
            shown = _show(file_name)
        if shown is not None:
            return f"{shown}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def warn_at_line(text: str, category: type[Warning]) -> None:
    """Warn as if the user's line had done so.

    Raises:
        Warning: If warnings are errors.
    """
    frame: FrameType | None = _getframe(1)
    while frame is not None and _show(frame.f_code.co_filename) is None:
        frame = frame.f_back
    if frame is None:  # There is always somebody who calls, but for a thread that runs one of our own methods.
        _warn_explicit(text, category, "", 0)
        return
    _warn_explicit(
        text,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
