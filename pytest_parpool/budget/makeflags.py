"""The text of ``MAKEFLAGS``, by which make, ninja and cargo find a jobserver. Nothing is read or set here.

The form is GNU make's (its manual: "Options/Recursion" and "Job Slots"): words between blanks, the first of which
stands for one-letter options if it does not begin with ``-`` or a blank, and definitions of variables behind ``--``.
"""

from __future__ import annotations

import re

FIRST_WITH_AUTH = (4, 2)  # Before, GNU make called the option otherwise, and stops at this name.
FIRST_WITH_FIFO = (4, 4)  # Before, GNU make stops at a jobserver that has a path instead of two descriptors.

_JOBSERVER = re.compile(r"(?:^|\s)--jobserver-(?:auth|fds)=(\S+)")
_JOBSERVER_OPTION = re.compile(r"((?:^|\s)--jobserver-auth=)\S+")
_DEFINITIONS = re.compile(r"(?:^|\s)--(?=\s|$)")


def find_jobserver(makeflags: str) -> str | None:
    """Return how the jobserver is reached that ``makeflags`` names, or None if it names none.

    Of several words the last one counts, as for make. Two negative numbers stand for a jobserver that make has refused
    to hand on, which is none.
    """
    found = _JOBSERVER.findall(makeflags)
    return found[-1] if found and not found[-1].startswith("-") else None


def with_fifo(makeflags: str, slots: int, path: str) -> str:
    """Return ``makeflags`` with a jobserver that is reached by a path."""
    return _with(makeflags, f"-j{slots} --jobserver-auth=fifo:{path}")


def with_pipe(makeflags: str, reader: int, writer: int) -> str:
    """Return ``makeflags`` with a jobserver that is reached by two inherited file descriptors."""
    # Without a number: make 4.2 takes one for an order of the user's that goes before the jobserver.
    return _with(makeflags, f"-j --jobserver-auth={reader},{writer}")


def with_other_pipe(makeflags: str, reader: int, writer: int) -> str:
    """Return ``makeflags`` with other descriptors for the jobserver that it names."""
    return _JOBSERVER_OPTION.sub(rf"\g<1>{reader},{writer}", makeflags)


def _with(makeflags: str, words: str) -> str:
    match = _DEFINITIONS.search(makeflags)
    options, definitions = (makeflags[: match.start()], makeflags[match.start() :]) if match else (makeflags, "")
    return f"{options} {words}{definitions and ' ' + definitions.lstrip()}"


def parse_make_version(text: str) -> tuple[int, int] | None:
    """Return major and minor number from what ``make --version`` says, or None if that is not GNU make."""
    match = re.match(r"GNU Make (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None
