"""What the figures were measured on: the machine, the interpreter and the versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

# What networkx's tests use where they find it, and skip where they do not: it decides how many tests there are and how
# much memory is shared.
NETWORKX_EXTRAS = ("numpy", "scipy", "pandas", "matplotlib", "lxml", "pydot", "pygraphviz", "sympy")


def describe_machine() -> str:
    """Return processor, usable CPUs, memory and system in one line."""
    parts = [_processor(), f"{_usable_cpus()} CPUs", *_memory(), f"{platform.system()} {platform.release()}"]
    return ", ".join(parts)


def describe_versions(distributions: Iterable[str]) -> str:
    """Return the interpreter's version and those of the distributions, in one line."""
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join((interpreter, *(f"{name} {installed_version(name) or 'not installed'}" for name in distributions)))


def installed_extras() -> tuple[str, ...]:
    """Return which of the packages that networkx's tests can use are installed, with their versions."""
    return tuple(f"{name} {version}" for name in NETWORKX_EXTRAS if (version := installed_version(name)))


def installed_version(distribution: str) -> str | None:
    """Return a distribution's version, None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cpus() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> tuple[str, ...]:
    if sys.platform == "win32":
        return ()
    return (f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",)
