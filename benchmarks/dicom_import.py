"""Images of 530 KB in series of 200, into the database and a folder: instances a second, beside Orthanc's REST API."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import inotify_simple

from benchmarks import dicom_images
from benchmarks.contenders import DD, seconds_of_dd
from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row
from benchmarks.slot import Slot

_IN_SERIES = 200
_CLIENTS = 4
_PATIENCE_SECONDS = 600
_WARM_UP = 9_999  # the series of the first arrival
# The least that can be had: no headers, no verdicts, no record, names that may replace. openssl hashes three times as
# fast as sha256sum.
_FLOOR = "cp, openssl dgst -sha256 and sync -f, 2 processes"
_COPY = """
to=$1; shift
for series; do
    cp -r "$series" "$to/" && cd "$to/${series##*/}" && openssl dgst -sha256 -r * >> ../sums."$$" && sync -f . || exit 1
done
"""
_ROUTE: dict[str, Any] = {
    "takes": "directories",
    "import": "dicom",
    "deliver": [{"to": "./studies/{PatientID}/{StudyInstanceUID}/{SeriesInstanceUID}"}],
}


def measure(scratch: Path, trials: int) -> list[Row]:
    """2,000 instances, and 20,000 once."""
    return [*_rows(scratch, 2_000, trials), *_rows(scratch, 20_000, 1)]


def _rows(scratch: Path, count: int, trials: int) -> list[Row]:
    ours, theirs, floor, disk, memory = [], [], [], [], []
    for trial in range(trials):
        rate, peak = _dropslot(scratch, count)
        ours.append(rate)
        memory.append(peak)
        theirs.append(_orthanc(scratch, count))
        floor.append(_copied(scratch, count))
        disk.append(_written(scratch, count))
        print(
            f"  {count} instances, trial {trial + 1}: {ours[-1]:.0f}, {theirs[-1]:.0f} and {floor[-1]:.0f} a second",
            flush=True,
        )
    mine, other, least = median(ours), median(theirs), median(floor)
    title = f"{count:,} instances of 530 KB in series of {_IN_SERIES}"
    return [
        Row(
            title,
            f"{mine:.0f}/s",
            f"Orthanc, {_CLIENTS} clients",
            f"{other:.0f}/s",
            mine / other,
            5,
            "×",
            at_most=False,
        ),
        Row("… the least for such copies", f"{mine:.0f}/s", _FLOOR, f"{least:.0f}/s", mine / least, None),
        Row("… what the disk can do", "", DD, f"{median(disk):.0f}/s", None, None),
        Row("… memory of all its processes", f"{max(memory):.0f} MB", "", "", max(memory), 400, "MB"),
    ]


def _dropslot(scratch: Path, count: int) -> tuple[float, float]:
    """Instances a second of the running service, and MB of memory at most."""
    with fresh_disk(scratch, payload_bytes=count * dicom_images.SIZE_BYTES, files=count) as disk:
        slot = Slot(disk, _ROUTE | {"grace": 0})  # a second once, however many arrivals there are
        slot.prepare()
        outgoing = _write_all(disk / "outgoing", count)
        dicom_images.write_series(disk / "first", _WARM_UP, 1)
        with slot.running(), inotify_simple.INotify() as inotify, _watched_memory() as peak:
            inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
            (disk / "first").rename(slot.inbox / "first")
            _wait(inotify, 1)  # until pydicom is loaded
            begun = time.perf_counter()
            for series in outgoing:
                series.rename(slot.inbox / series.name)
            _wait(inotify, len(outgoing))
            took = time.perf_counter() - begun
        recorded = sum(arrival["items"] for arrival in slot.arrivals() if arrival["state"] == "done")
        if recorded != count + 1:
            raise RuntimeError(f"{recorded} of {count + 1} instances were delivered")
    return count / took, peak[0]


def _copied(scratch: Path, count: int) -> float:
    """Instances a second of `_COPY`, by two processes that have half of the series each."""
    with fresh_disk(scratch, payload_bytes=count * dicom_images.SIZE_BYTES, files=count) as disk:
        outgoing, copied = _write_all(disk / "outgoing", count), disk / "copied"
        copied.mkdir()
        begun = time.perf_counter()
        halves = [
            subprocess.Popen(["sh", "-c", _COPY, "sh", copied, *outgoing[number::2]]) for number in range(2)
        ]
        if max([half.wait(_PATIENCE_SECONDS) for half in halves]):
            raise RuntimeError("the series could not be copied")
        return count / (time.perf_counter() - begun)


def _written(scratch: Path, count: int) -> float:
    size = count * dicom_images.SIZE_BYTES
    with fresh_disk(scratch, payload_bytes=size, files=count) as disk:
        return count / seconds_of_dd(disk, size)


def _write_all(folder: Path, count: int) -> list[Path]:
    """Folders of one series each."""
    for series in range(count // _IN_SERIES):
        dicom_images.write_series(folder / f"series{series}", series, _IN_SERIES)
    settle_disk(folder)
    return sorted(folder.iterdir())


def _wait(inotify: inotify_simple.INotify, arrivals: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while arrivals > 0:
        if time.monotonic() > until:
            raise RuntimeError(f"{arrivals} arrivals were not done in {_PATIENCE_SECONDS} s")
        arrivals -= len(inotify.read(timeout=1000))


@contextmanager
def _watched_memory() -> Iterator[list[float]]:
    """The most that the children of this process have together (PSS), in MB, looked at ten times a second."""
    peak, ends = [0.0], [False]

    def look() -> None:
        while not ends[0]:
            peak[0] = max(peak[0], sum(map(_pss_mb, _descendants(os.getpid()))))
            time.sleep(0.1)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(look)
        try:
            yield peak
        finally:
            ends[0] = True
            future.result()


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text().split()):
                yield child
                yield from _descendants(child)


def _pss_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _orthanc(scratch: Path, count: int) -> float:
    """Instances a second, each sent by one of the clients."""
    with fresh_disk(scratch, payload_bytes=count * dicom_images.SIZE_BYTES, files=count) as disk:
        _write_all(sent := disk / "sent", count)
        with orthanc(disk / "orthanc") as port:
            begun = time.perf_counter()
            send_all(port, sorted(sent.rglob("*.dcm")))
            return count / (time.perf_counter() - begun)


def send_all(port: int, files: list[Path]) -> None:
    """Send files to Orthanc's REST API, by several clients at a time."""
    shares = [files[number::_CLIENTS] for number in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(lambda share: _post_all(port, share), shares))


def _post_all(port: int, files: list[Path]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for file in files:
        connection.request("POST", "/instances", file.read_bytes(), {"Content-Type": "application/dicom"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"Orthanc answered {answer.status}")
    connection.close()


@contextmanager
def orthanc(folder: Path, dicom_port: int = 0) -> Iterator[int]:
    """Orthanc with its default settings; the port of its REST API. `dicom_port`: 0 for any."""
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise RuntimeError("Orthanc is not installed: setup/packages bench")
    folder.mkdir()
    ports = [free_port(), dicom_port or free_port()]
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": ports[0],
        "DicomPort": ports[1],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        _wait_for(ports[0])
        yield ports[0]
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError("Orthanc did not start")
