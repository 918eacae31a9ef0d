"""The words of the Windows kernel that are needed: those that ``multiprocessing`` uses, and more by ``ctypes``."""

from __future__ import annotations

import _winapi
import ctypes
import msvcrt
import os
from ctypes import wintypes
from typing import Any, Final

_KILL_ON_JOB_CLOSE: Final = 0x2000
_BREAKAWAY_OK: Final = 0x800
_EXTENDED_LIMITS: Final = 9
_ERROR_ALREADY_EXISTS: Final = 183
_SYNCHRONIZE: Final = 0x100000
_EVENT_MODIFY_STATE: Final = 0x2

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)


def _declare(name: str, result: type[Any], *arguments: type[Any]) -> ctypes._NamedFuncPointer:
    """Return a function of the kernel; handles are as long as pointers, which is not what ctypes takes them for."""
    function: ctypes._NamedFuncPointer = getattr(_kernel, name)
    function.restype = result
    function.argtypes = arguments
    return function


_create_job = _declare("CreateJobObjectW", wintypes.HANDLE, wintypes.LPVOID, wintypes.LPCWSTR)
_set_job = _declare(
    "SetInformationJobObject", wintypes.BOOL, wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD
)
_assign = _declare("AssignProcessToJobObject", wintypes.BOOL, wintypes.HANDLE, wintypes.HANDLE)
_terminate_job = _declare("TerminateJobObject", wintypes.BOOL, wintypes.HANDLE, wintypes.UINT)
_create_event = _declare(
    "CreateEventW", wintypes.HANDLE, wintypes.LPVOID, wintypes.BOOL, wintypes.BOOL, wintypes.LPCWSTR
)
_create_mutex = _declare("CreateMutexW", wintypes.HANDLE, wintypes.LPVOID, wintypes.BOOL, wintypes.LPCWSTR)
_release_mutex = _declare("ReleaseMutex", wintypes.BOOL, wintypes.HANDLE)
_open_event = _declare("OpenEventW", wintypes.HANDLE, wintypes.DWORD, wintypes.BOOL, wintypes.LPCWSTR)
_set_event = _declare("SetEvent", wintypes.BOOL, wintypes.HANDLE)


class _BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", wintypes.DWORD),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("most_processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority", wintypes.DWORD),
        ("scheduling", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", _BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


def close_handle(handle: int) -> None:
    """Close a handle."""
    _winapi.CloseHandle(handle)


# --- Jobs: processes, and all that they start, which are ended together ---------------------------------------------


def make_job() -> int:
    """Return a new job, whose processes are killed when its handle is closed, also by the end of this process.

    Raises:
        OSError: If there can be none.
    """
    job = _checked(_create_job(None, None))
    _limit(job, _KILL_ON_JOB_CLOSE | _BREAKAWAY_OK)
    return job


def spare_job(job: int) -> None:
    """Have its processes go on when its handle is closed."""
    _limit(job, _BREAKAWAY_OK)


def add_to_job(job: int, process: int) -> None:
    """Put a process into a job, and all that it starts from now on.

    Raises:
        OSError: If it cannot be there: it has ended, or this system knows no jobs within jobs (before Windows 8).
    """
    _checked(_assign(job, process))


def kill_job(job: int, code: int) -> None:
    """End all its processes, with this exit code."""
    _terminate_job(job, code)


def _limit(job: int, flags: int) -> None:
    limits = _ExtendedLimits()
    limits.basic.flags = flags
    _checked(_set_job(job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)))


# --- Events: one process wakes another -------------------------------------------------------------------------------


def make_event(name: str) -> int:
    """Return a new event; it is set until somebody has waited for it.

    Raises:
        OSError: If there can be none.
    """
    return _checked(_create_event(None, False, False, name))


def open_event(name: str) -> int:
    """Return another process's event.

    Raises:
        OSError: If there is none.
    """
    return _checked(_open_event(_SYNCHRONIZE | _EVENT_MODIFY_STATE, False, name))


def claim_name(name: str) -> int | None:
    """Return a handle of a name that nobody else has while it is open, or None if somebody has it.

    Raises:
        OSError: If there can be none.
    """
    event = _checked(_create_event(None, True, False, name))
    if ctypes.get_last_error() == _ERROR_ALREADY_EXISTS:
        close_handle(event)
        return None
    return event


def set_event(event: int) -> None:
    """Wake who waits for it, or will."""
    _set_event(event)


def wait_for(event: int) -> bool:
    """Wait until an event is set; return whether it can be waited for at all."""
    return _winapi.WaitForSingleObject(event, _winapi.INFINITE) == _winapi.WAIT_OBJECT_0


# --- Other processes --------------------------------------------------------------------------------------------------


def is_alive(pid: int) -> bool:
    """Whether there is such a process; ``os.kill(pid, 0)`` would be Ctrl-C."""
    try:
        process = _winapi.OpenProcess(_SYNCHRONIZE, False, pid)
    except PermissionError:  # It is somebody else's, but it is.
        return True
    except OSError:
        return False
    try:
        return _winapi.WaitForSingleObject(process, 0) == _winapi.WAIT_TIMEOUT
    finally:
        _winapi.CloseHandle(process)


def handle_of(fd: int) -> int:
    """Return what the kernel calls one of our descriptors, by which other processes can have it."""
    return msvcrt.get_osfhandle(fd)


def open_handle_of(pid: int, handle: int) -> int:
    """Return a descriptor of what another process has open; its position is the other one's, too.

    Raises:
        OSError: If the process, or the handle, is not there.
    """
    process = _winapi.OpenProcess(_winapi.PROCESS_DUP_HANDLE, False, pid)
    try:
        ours = _winapi.DuplicateHandle(
            process, handle, _winapi.GetCurrentProcess(), 0, False, _winapi.DUPLICATE_SAME_ACCESS
        )
    finally:
        _winapi.CloseHandle(process)
    return msvcrt.open_osfhandle(ours, os.O_RDONLY)


# --- Mutexes: one process at a time -----------------------------------------------------------------------------------


def make_mutex(name: str) -> int:
    """Return what all processes have under this name; when one ends with it, the next one gets it.

    Raises:
        OSError: If there can be none.
    """
    return _checked(_create_mutex(None, False, name))


def enter(mutex: int) -> None:
    """Wait until no other thread of any process has it, and take it."""
    _winapi.WaitForSingleObject(mutex, _winapi.INFINITE)


def leave(mutex: int) -> None:
    """Let the next one have it."""
    _release_mutex(mutex)


def _checked(result: int | None) -> int:
    if not result:
        raise ctypes.WinError(ctypes.get_last_error())
    return result
