"""The program that parses files from strangers: a process of its own, without rights, so that no file can harm the
process that asks.

`main` takes three arguments of the command line: DESCRIPTOR MEMORY_BYTES MODULE.

DESCRIPTOR is a Unix socket of the kind SOCK_SEQPACKET. The first message comes from here: `{"missing": [LAYER, …]}`,
what of its confinement this system does not have, or `{"failed": WORDS}`. Then a question is one message of JSON,
`{"seconds": N, "question": …}`, with descriptors of files beside it; its answer is one message, `{"answer": …}`, what
MODULE.parse returned, `{"failed": WORDS}`, or `{"unread": WORDS}` when the disk did not give what was to be looked at.
The process ends when the other side closes. A question that needs more
than `seconds` of computing ends it by SIGPROF, one that breaks the library by whatever signal that gives.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from dropslot.parsing import confinement

MOST_BYTES = 64 * 1024
MOST_DESCRIPTORS = 32
# pydicom loads these if they are there: more than half of a start, and 22 MB (measured).
_FOR_PIXELS = ("PIL", "libjpeg", "numpy", "openjpeg", "pylibjpeg", "requests", "rle")
_LOOK_AT_PIXELS = frozenset({"dropslot.dicom_files.pixel_parser"})

Parse = Callable[[list[int], Any], Any]


def main() -> None:
    """Load, give up every right, then answer questions until the other side closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        parse = _loaded(sys.argv[3])
    except Exception as error:  # noqa: BLE001 - told to who asked, which has a log
        channel.send(_message({"failed": f"{type(error).__name__}: {error}"}))
        return
    channel.send(_message({"missing": confinement.confine(int(sys.argv[2]), channel.fileno())}))
    while _answered(channel, parse):
        pass


def _loaded(module: str) -> Parse:
    if module not in _LOOK_AT_PIXELS:
        sys.modules.update(dict.fromkeys(_FOR_PIXELS))  # type: ignore[arg-type]  # as if they were not installed
    loaded = importlib.import_module(module)
    if hasattr(loaded, "prepare"):
        loaded.prepare()
    parse: Parse = loaded.parse
    return parse


def _answered(channel: socket.socket, parse: Parse) -> bool:
    message, descriptors, _, _ = socket.recv_fds(channel, MOST_BYTES, MOST_DESCRIPTORS)
    if not message:
        return False
    asked = json.loads(message)
    signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
    try:
        said = _message({"answer": parse(descriptors, asked["question"])})
    except OSError as error:
        # A parser that needs more than it is allowed fails here.
        kind = "failed" if isinstance(error, PermissionError) else "unread"
        said = _message({kind: error.strerror or str(error)})
    except Exception as error:  # noqa: BLE001 - a file that breaks the parser is judged by who asked
        said = _message({"failed": f"{type(error).__name__}: {error}"})
    signal.setitimer(signal.ITIMER_PROF, 0)
    for descriptor in descriptors:
        os.close(descriptor)
    channel.send(said)
    return True


def _message(content: Any) -> bytes:
    message = json.dumps(content).encode("ascii")
    return message if len(message) <= MOST_BYTES else b'{"failed": "its answer is too long"}'
