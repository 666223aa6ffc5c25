"""`dropslot` for shell scripts: commands that end are forks of a warm process, the others are started as ever."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from product import SHORT
from warm import warm

_CLIENT = Path(__file__).with_name("warm_client.py")
_MESSAGE_BYTES = 1 << 20
_TIMEOUT_SECONDS = 120


@contextmanager
def script_for(folder: Path, command: Sequence[str]) -> Iterator[str]:
    """The text of a script that does as `command` does, while this lasts; `folder` is for a socket."""
    address = folder / "warm"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen(16)
        thread = threading.Thread(target=_serve, args=(listener,), daemon=True)
        thread.start()
        client = shlex.join([sys.executable, "-I", "-S", str(_CLIENT), str(address)])
        yield (
            f'#!/bin/sh\ncase "$1" in\n{"|".join(sorted(SHORT))}) exec {client} "$@" ;;\n'
            f'*) exec {shlex.join(command)} "$@" ;;\nesac\n'
        )
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket) -> None:
    with suppress(OSError):  # it was shut down
        while True:
            threading.Thread(target=_answer, args=(listener.accept()[0],)).start()


def _answer(channel: socket.socket) -> None:
    message, (out, err), *_ = socket.recv_fds(channel, _MESSAGE_BYTES, 2)
    try:
        request = json.loads(message)
        process = warm(request["environment"], request["args"][0])
        status = process.run_for(request, out, err, _TIMEOUT_SECONDS)
    finally:
        os.close(out)
        os.close(err)
    with channel, suppress(BrokenPipeError):
        channel.send(str(status).encode())
