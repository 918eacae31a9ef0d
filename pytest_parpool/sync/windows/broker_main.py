"""Where the broker's process begins on Windows: in a fresh interpreter, started by ``service``."""

from __future__ import annotations

import os
import struct
from typing import Any, Final

from pytest_parpool.runtime.memory import map_named
from pytest_parpool.runtime.sockets import RawSocket
from pytest_parpool.sync.broker_process import BrokerProcess

_STDOUT: Final = 1
_PORT: Final = struct.Struct("=I")


def main(own: dict[str, Any]) -> None:
    """Be the broker.

    Args:
        own: What ``service`` has told it.
    """
    board = map_named(own["board"], own["board_bytes"])
    try:
        process = BrokerProcess(RawSocket(0, 0, 0, own["listener"]), own["owner_pid"], own["token"])
    except ProcessLookupError:  # The run is over already.
        return
    _PORT.pack_into(board, 0, own["port"])
    os.write(_STDOUT, b"!")
    # Nobody must wait for the end of a pipe.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, _STDOUT)
    process.live()
