"""The suites whose outcomes are compared: installed, downloaded or on disk."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.suites import MissingSuiteError, make_networkx


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where and how a suite is run.

    Attributes:
        arguments: Pytest's arguments that name the tests.
        cwd: The folder to run it in; None for an empty one.
    """

    arguments: tuple[str, ...]
    cwd: Path | None


def find_target(suite: str, folder: Path) -> Target:
    """Return the suite of this name, or the one in this file or folder with its own configuration.

    Args:
        suite: ``networkx``, ``click``, or a path.
        folder: An existing, empty folder for what must be written or downloaded.

    Raises:
        MissingSuiteError: If there is no such suite, or it cannot be downloaded.
    """
    if suite == "networkx":
        return Target(make_networkx(folder).arguments, cwd=None)
    if suite == "click":
        return Target(("tests",), cwd=_download_sources("click", folder))
    path = Path(suite).resolve()
    if path.is_dir():
        return Target((), cwd=path)
    if path.is_file():
        return Target((path.name,), cwd=path.parent)
    raise MissingSuiteError(f"there is no suite {suite!r}: give 'networkx', 'click', or an existing file or folder")


def _download_sources(distribution: str, folder: Path) -> Path:
    """Download and unpack the sources of the installed version: its wheel has no tests."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError as error:
        message = f"{distribution} is not installed in this interpreter; install it with: pip install {distribution}"
        raise MissingSuiteError(message) from error
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    requirement = f"{distribution}=={version}"
    # Only the package itself must be a source archive; what builds its metadata may come as a wheel.
    command = [*pip, "--no-binary", distribution, "--dest", str(folder), requirement]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    archives = list(folder.glob("*.tar.gz"))
    if done.returncode != 0 or len(archives) != 1:
        raise MissingSuiteError(f"pip could not download the sources of {requirement}:\n{done.stderr.strip()}")
    shutil.unpack_archive(archives[0], folder, filter="data")
    return folder / archives[0].name.removesuffix(".tar.gz")
