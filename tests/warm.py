"""Commands that cost a fork in place of a start: more than half of a command's processor time is the loading of
libraries, and the tests run thousands of commands."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_PROGRAM = Path(__file__).with_name("warm_program.py")
# What an interpreter or a library reads when it is loaded.
_READ_AT_START = ("COVERAGE", "LANG", "LC_", "LD_", "PYTHON", "TZ")
_WITH_ACCOUNTS = ("adduser", "addtoken", "removeuser", "users")


class Done(NamedTuple):
    """How a command ended; as subprocess has it."""

    returncode: int
    stdout: str
    stderr: str


class Warm:
    """A process of `warm_program`; it ends with this one, however that ends."""

    def __init__(self, environment: Mapping[str, str], settings: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, _PROGRAM, str(theirs.fileno()), settings],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        self._control.close()
        self._process.wait(60)

    def run(
        self,
        args: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        timeout_seconds: float,
        constants: Mapping[str, object] | None = None,
    ) -> Done:
        """Run `dropslot ARGS` in a process of its own; `constants`, named `module:NAME`, have other values there.
        Raises TimeoutExpired, as subprocess does."""
        reader, told = os.pipe()
        out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
        request = {
            "args": args,
            "environment": dict(environment),
            "folder": str(folder),
            "umask": _umask(),
            "constants": dict(constants or {}),
        }
        try:
            self._send(request, out, err, told)
            status = _status(reader, time.monotonic() + timeout_seconds)
            if status is None:
                raise subprocess.TimeoutExpired(["dropslot", *args], timeout_seconds, _text(out), _text(err))
            return Done(status, _text(out), _text(err))
        finally:
            for descriptor in (reader, out, err):
                os.close(descriptor)

    def run_for(self, request: Mapping[str, Any], out: int, err: int, timeout_seconds: float) -> int:
        """Run the command of another process, with its descriptors; returns its exit status."""
        reader, told = os.pipe()
        try:
            self._send(request, out, err, told)
            status = _status(reader, time.monotonic() + timeout_seconds)
            return 1 if status is None else status
        finally:
            os.close(reader)

    def _send(self, request: Mapping[str, Any], out: int, err: int, told: int) -> None:
        socket.send_fds(self._control, [json.dumps(request).encode()], [out, err, told])
        os.close(told)


def _status(reader: int, end: float) -> int | None:
    """What the second line says; None if it does not come in time: the command is then killed."""
    lines = b""
    while lines.count(b"\n") < 2:
        if not select.select([reader], [], [], max(0, end - time.monotonic()))[0]:
            if lines:
                os.kill(int(lines.split()[0]), signal.SIGKILL)
            return None
        part = os.read(reader, 100)
        if not part:
            raise RuntimeError("the process that runs commands has ended")
        lines += part
    return int(lines.split()[1])


def _text(descriptor: int) -> str:
    """All of it, as subprocess reads text."""
    data = os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()
    return data.replace("\r\n", "\n").replace("\r", "\n")


def _umask() -> int:
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:")
    )
    return int(line.split()[1], 8)


_by_start: dict[tuple[str, tuple[tuple[str, str], ...]], Warm] = {}
_starting = threading.Lock()


def warm(environment: Mapping[str, str], command: str) -> Warm:
    """The process of this one for such commands, with what this environment says to an interpreter that starts."""
    settings = "dropslot.portal_settings" if command in _WITH_ACCOUNTS else "dropslot.settings"
    at_start = tuple(sorted((k, v) for k, v in environment.items() if k.startswith(_READ_AT_START)))
    with _starting:
        if (settings, at_start) not in _by_start:
            _by_start[settings, at_start] = Warm(environment, settings)
            atexit.register(_by_start[settings, at_start].close)
        return _by_start[settings, at_start]
