"""A parser that a hostile file has taken over: it says more than it was asked. Loaded by `parsing.server` alone."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

_CHANNEL = socket.socket(fileno=int(sys.argv[1]))


def parse(descriptors: list[int], question: Any) -> Any:
    """The question; the same is said before that, so that one answer is left over."""
    _CHANNEL.send(json.dumps({"answer": question}).encode())
    return question
