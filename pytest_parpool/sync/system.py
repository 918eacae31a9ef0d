"""The operating system's own functions, whatever a test has put in their place."""

from __future__ import annotations

import os
import time


class System:
    """Attributes of a class, because tools that fake files or clocks replace them in the globals of modules."""

    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    getpid = staticmethod(os.getpid)
    getuid = staticmethod(os.getuid)
    kill = staticmethod(os.kill)
    lstat = staticmethod(os.lstat)
    mkdir = staticmethod(os.mkdir)
    monotonic = staticmethod(time.monotonic)
    posix_spawn = staticmethod(os.posix_spawn)
    sleep = staticmethod(time.sleep)
    urandom = staticmethod(os.urandom)
    waitpid = staticmethod(os.waitpid)
