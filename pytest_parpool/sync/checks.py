"""Whether users' arguments are what they have to be."""

from __future__ import annotations

from typing import Any


def check_name(name: Any) -> str:
    """Return the name of an object.

    Raises:
        ValueError: If it is no text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"name: {name!r} is not allowed; give a string that is not empty")
    return name


def check_count(argument: str, count: Any, least: int) -> int:
    """Return a number of something.

    Args:
        argument: What the user knows it by.
        count: The number.
        least: The smallest that is allowed.

    Raises:
        ValueError: If it is no whole number, or less than that.
    """
    if not isinstance(count, int) or count < least:
        raise ValueError(f"{argument}: {count!r} is not allowed; give a whole number from {least} on")
    return count
