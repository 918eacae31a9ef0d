"""What a process that uses shared objects says to the broker, and what it gets back.

* ``asking``: what requests of all kinds have in common.
* ``locks``: those about what is taken and given back; semaphores and reader-writer locks, too.
* ``meetings``: those about events, barriers, conditions, and what is run once.
* ``contents``: those about values, queues, dictionaries, arrays.

A new request is a record there, a member of the union at the end of its module, and a name here.

Every field is a plain value that ``marshal`` takes. A user's values travel as opaque ``Payload``: the broker never
unpickles anything.

Fields that many requests have:

* ``name``: the object's name. Each kind of object has names of its own.
* ``timeout``: seconds to wait, counted from the arrival of the request; None for as long as it takes, 0 for not at all.
"""

from __future__ import annotations

from typing import TypeAlias

from pytest_parpool.model.sync_requests.asking import (
    AwaitChange,
    CommonRequest,
    ForgetNames,
    Origin,
    Payload,
    Status,
)
from pytest_parpool.model.sync_requests.contents import (
    AddToValue,
    AskDict,
    CompareAndSetValue,
    ContentRequest,
    DictVerb,
    GetFromQueue,
    GetValue,
    JoinQueue,
    OpenArray,
    OpenValue,
    PutOnQueue,
    ReadQueue,
    SetValue,
    TaskDone,
)
from pytest_parpool.model.sync_requests.locks import (
    AcquireLock,
    AcquireReadWrite,
    AcquireSemaphore,
    LockLetGo,
    LockRequest,
    OpenLock,
    ReleaseLock,
    ReleaseReadWrite,
    ReleaseSemaphore,
    ReturnPermits,
)
from pytest_parpool.model.sync_requests.meetings import (
    AbortBarrier,
    BeginOnce,
    ClearEvent,
    EndOnce,
    EnlistCondition,
    IsEventSet,
    MeetingRequest,
    NotifyCondition,
    ReadBarrier,
    ResetBarrier,
    SetEvent,
    WaitBarrier,
    WaitCondition,
    WaitEvent,
)

__all__ = [
    "AbortBarrier",
    "AcquireLock",
    "AcquireReadWrite",
    "AcquireSemaphore",
    "AddToValue",
    "AskDict",
    "AwaitChange",
    "BeginOnce",
    "ClearEvent",
    "CompareAndSetValue",
    "DictVerb",
    "EndOnce",
    "EnlistCondition",
    "ForgetNames",
    "GetFromQueue",
    "GetValue",
    "IsEventSet",
    "JoinQueue",
    "LockLetGo",
    "NotifyCondition",
    "OpenArray",
    "OpenLock",
    "OpenValue",
    "Origin",
    "Payload",
    "PutOnQueue",
    "ReadBarrier",
    "ReadQueue",
    "ReleaseLock",
    "ReleaseReadWrite",
    "ReleaseSemaphore",
    "Request",
    "ResetBarrier",
    "ReturnPermits",
    "SetEvent",
    "SetValue",
    "Status",
    "TaskDone",
    "WaitBarrier",
    "WaitCondition",
    "WaitEvent",
]

Request: TypeAlias = LockRequest | MeetingRequest | ContentRequest | CommonRequest
