"""The operating system's own functions, whatever a test has put in their place."""

from __future__ import annotations

import os
import sys
import time


class System:
    """Attributes of a class, because tools that fake files or clocks replace them in the globals of modules."""

    close = staticmethod(os.close)
    fstat = staticmethod(os.fstat)
    getpid = staticmethod(os.getpid)
    lstat = staticmethod(os.lstat)
    mkdir = staticmethod(os.mkdir)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    urandom = staticmethod(os.urandom)
    if sys.platform != "win32":
        getuid = staticmethod(os.getuid)
        kill = staticmethod(os.kill)
        posix_spawn = staticmethod(os.posix_spawn)
        waitpid = staticmethod(os.waitpid)
