"""How many CPUs this process may really use, and from that how many workers ``-n auto`` means.

Nothing is read but through the given functions. A container's limit is a quota of its control group, which neither
``os.cpu_count`` nor the affinity mask knows of (docs.kernel.org: cgroup-v2, "CPU Interface Files", and
sched-bwc for version 1).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from pytest_parpool.errors import BadSettingError

_CGROUP_MOUNT = "/sys/fs/cgroup"
_CGROUPS_OF_THIS_PROCESS = "/proc/self/cgroup"


def _cpus_by_affinity() -> int | None:
    """Return the size of the affinity mask, or None where the platform has none."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count()
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return None


def _cpus_by_psutil(*, is_logical: bool) -> int | None:
    """Return the number of hardware threads or of cores, or None if psutil is missing or does not know."""
    try:
        # By name, because psutil is an extra and type checkers may not find it.
        psutil = importlib.import_module("psutil")
    except ImportError:
        return None
    count: int | None = psutil.cpu_count(logical=is_logical)
    return count


def _read_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")


def auto_worker_count(
    kind: Literal["auto", "logical"],
    *,
    environ: Mapping[str, str] = os.environ,
    affinity: Callable[[], int | None] = _cpus_by_affinity,
    read_text: Callable[[str], str] = _read_text,
    cpu_count: Callable[[], int | None] = os.cpu_count,
    hardware_count: Callable[..., int | None] = _cpus_by_psutil,
) -> int:
    """Return what ``-n auto`` (cores) or ``-n logical`` (hardware threads) stands for.

    ``PYTEST_XDIST_AUTO_NUM_WORKERS`` goes before all counting; 0 is allowed there.

    Args:
        kind: The word that was given to ``-n``.
        environ: ``os.environ``.
        affinity: As in ``usable_cpus``.
        read_text: As in ``usable_cpus``.
        cpu_count: As in ``usable_cpus``.
        hardware_count: Called with ``is_logical``; returns a number of CPUs, or None if it does not know.

    Raises:
        BadSettingError: If an environment variable that is looked at holds no number.
    """
    text = environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS")
    if text:
        return _number_from_environ("PYTEST_XDIST_AUTO_NUM_WORKERS", text, least=0)
    usable = usable_cpus(environ, affinity, read_text, cpu_count)
    return min(usable, hardware_count(is_logical=kind == "logical") or usable)


def usable_cpus(
    environ: Mapping[str, str] = os.environ,
    affinity: Callable[[], int | None] = _cpus_by_affinity,
    read_text: Callable[[str], str] = _read_text,
    cpu_count: Callable[[], int | None] = os.cpu_count,
) -> int:
    """Return the number of CPUs that this process may keep busy at the same time, at least 1.

    Args:
        environ: ``os.environ``; ``PYTHON_CPU_COUNT`` replaces the affinity mask, also on a Python older than 3.13.
        affinity: Returns how many CPUs this process is bound to, or None where that is unknown.
        read_text: Returns a file's text, or raises OSError.
        cpu_count: Returns how many CPUs the machine has, or None; asked only if ``affinity`` does not know.

    Raises:
        BadSettingError: If ``PYTHON_CPU_COUNT`` is neither a number nor "default".
    """
    text = environ.get("PYTHON_CPU_COUNT")
    if text and text != "default":
        count = _number_from_environ("PYTHON_CPU_COUNT", text, least=1)
    else:
        count = affinity() or cpu_count() or 1
    return min([count, *_cgroup_limits(read_text)])


def _number_from_environ(name: str, text: str, *, least: int) -> int:
    """Return the number in an environment variable."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise BadSettingError.for_value(f"environment variable {name}", text, f"a whole number >= {least}")
    return number


def _cgroup_limits(read_text: Callable[[str], str]) -> Iterator[int]:
    """Yield every quota that holds for this process, in whole CPUs."""
    for directory, is_v2 in _cgroup_directories(read_text):
        limit = _limit_of(directory, read_text, is_v2=is_v2)
        if limit is not None:
            yield limit


def _limit_of(directory: str, read_text: Callable[[str], str], *, is_v2: bool) -> int | None:
    """Return the quota of one control group in whole CPUs, at least 1, or None if it has none."""
    try:
        if is_v2:
            quota, period = read_text(f"{directory}/cpu.max").split()
        else:
            quota = read_text(f"{directory}/cpu.cfs_quota_us")
            period = read_text(f"{directory}/cpu.cfs_period_us")
        # "max" (version 2) and -1 (version 1) stand for no limit.
        if quota == "max" or int(quota) <= 0:
            return None
        # Rounded up: half a CPU needs a worker too.
        return -(-int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        # Not every level has the files (the root never has), and a limit that nobody can read is none.
        return None


def _cgroup_directories(read_text: Callable[[str], str]) -> Iterator[tuple[str, bool]]:
    """Yield each directory whose limit binds this process, with whether it is of version 2.

    A limit binds all groups below, so all levels from this process's group up to the root count. The root counts even
    if nothing between is there: a container may see the host's path but have its own group mounted as the root.
    """
    try:
        lines = read_text(_CGROUPS_OF_THIS_PROCESS).splitlines()
    except OSError:  # Not Linux, or no /proc.
        return
    for line in lines:
        # hierarchy-ID:controller-list:path, see cgroups(7). The path may contain colons.
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" and not controllers:
            mounts, is_v2 = [_CGROUP_MOUNT], True
        elif "cpu" in controllers.split(","):
            # Distributions mount it under the one name or the other, and often link the two; reading twice is harmless.
            mounts, is_v2 = [f"{_CGROUP_MOUNT}/{name}" for name in ("cpu", "cpu,cpuacct")], False
        else:
            continue
        for mount in mounts:
            for level in _levels(path):
                yield f"{mount}{level}", is_v2


def _levels(path: str) -> list[str]:
    """Return ``/a/b``, ``/a`` and an empty text for the path ``/a/b``."""
    here = PurePosixPath(path)
    if ".." in here.parts:  # This process's group is outside of what its cgroup namespace can see.
        return [""]
    return [str(level) for level in (here, *here.parents) if level.name] + [""]
