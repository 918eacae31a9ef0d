"""Builds a library that runs on OpenMP's threads, the best known ones that do not survive a fork."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

# Two threads are asked for, because a machine with one CPU would run the region on the calling thread alone.
SOURCE = """\
int run_parallel_region(void) {
    int members = 0;
    #pragma omp parallel num_threads(2) reduction(+ : members)
    members += 1;
    return members;
}
"""

# On a machine where all jobs compete for two cores.
COMPILE_SECONDS = 60


def build(folder: Path) -> Path | None:
    """Return the library, compiled into ``folder``; None if the machine has no gcc.

    Raises:
        subprocess.CalledProcessError: If gcc is there and fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    source = folder / "region.c"
    source.write_text(SOURCE, encoding="utf-8")
    library = folder / "libregion.so"
    command = [compiler, "-fopenmp", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True, timeout=COMPILE_SECONDS)
    return library
