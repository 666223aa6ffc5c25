"""Uploads to the portal over loopback by tus, as its page sends them: a large file in pieces, each file of a folder
with the request that makes it. Each is synced before the last answer.

The peer of the large file on a disk is `dd` with a sync at its end: the most that the disk takes.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import serving
from benchmarks.memory import Peak
from benchmarks.report import Row

_ROUTE = {"takes": "any", "deliver": [{"to": "./studies"}]}
_PIECE = bytes(64 * 1024 * 1024)
_PIECES = 80  # 5 GB
_FILES, _FILE = 2000, os.urandom(10_000)
_AT_A_TIME = 3
_RATE_LIMIT, _FILES_LIMIT, _MEMORY_LIMIT = 200, 300, 40


class _Sender:
    """One connection of a program that sends."""

    def __init__(self, port: int, token: str) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self._client.request(method, path, body, self._headers | named)
        answer = self._client.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {text[:300]!r}")
        return answer

    def large(self, name: str) -> None:
        """One file in pieces."""
        said = _metadata(route="route", filename=name)
        size = str(_PIECES * len(_PIECE))
        answer = self.ask("POST", "/api/v1/tus/", Upload_Length=size, Upload_Metadata=said)
        path = "/" + answer.headers["Location"].split("/", 3)[3]
        for number in range(_PIECES):
            at = str(number * len(_PIECE))
            self.ask("PATCH", path, _PIECE, Upload_Offset=at, Content_Type="application/offset+octet-stream")

    def small(self, folder: str, number: int) -> None:
        """One file of a folder."""
        name = f"{number:05}.dcm"
        said = _metadata(route="route", filename=name, relativePath=f"{folder}/{name}", batch=folder)
        kind = "application/offset+octet-stream"
        size = str(len(_FILE))
        self.ask("POST", "/api/v1/tus/", _FILE, Upload_Length=size, Upload_Metadata=said, Content_Type=kind)

    def finish(self, folder: str) -> None:
        said = json.dumps({"route": "route", "name": folder, "files": _FILES}).encode()
        self.ask("POST", f"/api/v1/tus/batches/{folder}/finish", said, Content_Type="application/json")


def measure(scratch: Path, trials: int) -> list[Row]:
    """Rates of a large file with files in memory and on the disk, of small files, and what 5 GB add to the memory."""
    with in_memory(scratch / "memory") as memory:
        fast, growth = _large(memory, trials)
        many = _many(memory, trials)
    disk, _ = _large(scratch / "disk", trials)
    theirs = median(_dd(scratch / "dd") for _ in range(trials))
    against = f"dd conv=fsync ({disk / theirs:.2f} ×)"
    return [
        _at_least("one file of 5 GB, files in memory", f"{fast:.0f} MB/s", fast, _RATE_LIMIT, "MB/s"),
        Row("one file of 5 GB, on the disk", f"{disk:.0f} MB/s", against, f"{theirs:.0f} MB/s", None, None),
        _at_least(f"{_FILES} files of one folder", f"{many:.0f}/s", many, _FILES_LIMIT, "/s"),
        Row("memory that 5 GB add at their peak", f"{growth:.0f} MB", "", "", growth, _MEMORY_LIMIT, "MB"),
    ]


def _at_least(what: str, ours: str, value: float, limit: float, unit: str) -> Row:
    return Row(what, ours, "", "", value, limit, unit, at_most=False)


def _large(folder: Path, trials: int) -> tuple[float, float]:
    """MB a second, and MB of memory."""
    with portal(folder) as (port, pid, token):
        rest, busy, rates = Peak(), Peak(), []
        rest.look(pid)
        for number in range(trials):
            begun, ended = time.perf_counter(), threading.Event()
            watching = threading.Thread(target=busy.watch, args=(pid, ended.is_set, 600))
            watching.start()
            _Sender(port, token).large(f"large{number}")
            rates.append(_PIECES * len(_PIECE) / 1e6 / (time.perf_counter() - begun))
            ended.set()
            watching.join()
            for path in (folder / "slot" / "route" / "inbox").iterdir():
                path.unlink()
    return median(rates), busy.pss - rest.pss


def _many(folder: Path, trials: int) -> float:
    """Files a second, by as many connections as the page has."""
    rates = []
    with portal(folder / "many") as (port, _, token):
        for trial in range(trials):
            senders = [_Sender(port, token) for _ in range(_AT_A_TIME)]
            begun = time.perf_counter()
            with ThreadPoolExecutor(_AT_A_TIME) as pool:
                list(pool.map(_some, senders, range(_AT_A_TIME), [f"folder{trial}"] * _AT_A_TIME))
            senders[0].finish(f"folder{trial}")
            rates.append(_FILES / (time.perf_counter() - begun))
    return median(rates)


def _some(sender: _Sender, first: int, folder: str) -> None:
    for number in range(first, _FILES, _AT_A_TIME):
        sender.small(folder, number)


@contextmanager
def portal(folder: Path) -> Iterator[tuple[int, int, str]]:
    """The port, the process and a token of a portal alone: nothing is delivered meanwhile."""
    slot, port = serving.with_portal(folder, _ROUTE)
    slot.prepare()
    serving.account(slot, "sam", "sender")
    token = serving.token(slot, "sam")
    with serving.alone(slot, port) as pid:
        yield port, pid, token


@contextmanager
def in_memory(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g", "dropslot-bench", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def _dd(path: Path) -> float:
    """MB a second."""
    begun = time.perf_counter()
    command = ["dd", "if=/dev/zero", f"of={path}", "bs=64M", f"count={_PIECES}", "conv=fsync"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    taken = time.perf_counter() - begun
    path.unlink()
    return _PIECES * len(_PIECE) / 1e6 / taken


def _metadata(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
