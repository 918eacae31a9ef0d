"""Set up an environment of this checkout's own and run something in it.

Needs nothing but Python with ``venv`` and ``pip``'s way to a package index.
The environment is ``.venv`` in the checkout; it is made at the first call, and again when Python or
``pyproject.toml`` changed. What follows the command goes to pytest::

    python3 tools/dev.py examples
    python3 tools/dev.py tests -k scheduler
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENVIRONMENT / "made-from"
# Beside the environment's own packages: pytest would load them into every run.
PLUGINS = ENVIRONMENT / "test-plugins"

MIN_PYTHON = (3, 10)
MIN_PIP = "pip>=25.1"  # The first that reads dependency groups (PEP 735).

COMMANDS = {
    "examples": ["-n", "2", "examples"],
    "tests": ["-n", "2", "tests"],
}


def fingerprint() -> str:
    """Return what the environment is made from; another value means that it is out of date."""
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    # The checkout's place too: an environment is full of absolute paths, and a moved one is broken.
    return f"{sys.version}\n{ROOT}\n{digest}\n"


def is_up_to_date() -> bool:
    """Whether the last set-up came to its end and nothing it was made from has changed."""
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == fingerprint()


def set_up() -> None:
    """Make the environment anew, with the package in editable form and the groups ``tests`` and ``plugins``.

    Raises:
        subprocess.CalledProcessError: If ``venv`` or ``pip`` failed; what they printed has been shown.
    """
    print(f"Setting up {ENVIRONMENT} with Python {sys.version.split()[0]} ...", flush=True)
    venv.create(ENVIRONMENT, clear=True, symlinks=os.name != "nt", with_pip=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", MIN_PIP], cwd=ROOT, check=True)
    subprocess.run([*pip, "--editable", ".[psutil]", "--group", "tests"], cwd=ROOT, check=True)
    subprocess.run([*pip, "--target", str(PLUGINS), "--group", "plugins"], cwd=ROOT, check=True)
    # Last, so that a set-up that was cut short is not taken for a finished one.
    STAMP.write_text(fingerprint(), encoding="utf-8")


def run_pytest(arguments: list[str]) -> int:
    """Run pytest in the environment and return its exit code; where the system can, become it instead.

    A parent that waits would be hit by the terminal's Ctrl-C too, and leave before the run has been wound up.
    """
    command = [str(PYTHON), "-m", "pytest", *arguments]
    os.environ["PARPOOL_TEST_PLUGINS"] = str(PLUGINS)
    os.chdir(ROOT)
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


def main() -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Set up .venv in this checkout, then run pytest in it on two workers.")
    parser.add_argument("command", choices=sorted(COMMANDS), help="which tests to run")
    command, more = parser.parse_known_args()
    if sys.version_info < MIN_PYTHON:
        parser.error(f"Python {sys.version.split()[0]} is too old; call this with Python 3.10 or newer")
    if not is_up_to_date():
        try:
            set_up()
        except subprocess.CalledProcessError as error:
            print(f"The set-up failed at: {error.cmd}", file=sys.stderr)
            print("If 'ensurepip' is named, install your system's package for 'venv' (python3-venv).", file=sys.stderr)
            return 1
    return run_pytest([*COMMANDS[command.command], *more])


if __name__ == "__main__":
    sys.exit(main())
