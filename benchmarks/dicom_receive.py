"""C-STORE of CT images of 530 KB by dcmtk's storescu with TCP_NODELAY=1: instances a second, over one association and
over four at a time, until the last one is acknowledged.

Ours are synced before they are acknowledged, and the import runs meanwhile. The peers, dcmtk's storescp and Orthanc
with their default settings, acknowledge what is in the page cache.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import dicom_images
from benchmarks.dicom_import import free_port, orthanc
from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row
from benchmarks.slot import Slot

_EACH = 400
_LIMIT = 200
_ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}
Running = Callable[[Path, int], AbstractContextManager[None]]


def measure(scratch: Path, trials: int) -> list[Row]:
    """The peers take turns with ours, each on a fresh disk."""
    rows = []
    for associations in (1, 4):
        rates: dict[str, list[float]] = {"dropslot": [], "storescp": [], "Orthanc": []}
        for trial in range(trials):
            for name, running in (("dropslot", _dropslot), ("storescp", _storescp), ("Orthanc", _orthanc)):
                rates[name].append(_rate(scratch, running, associations))
            said = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items())
            print(f"  {associations} associations, trial {trial + 1}: {said} a second", flush=True)
        rows += _rows(associations, {name: median(values) for name, values in rates.items()})
    return rows


def _rows(associations: int, rates: dict[str, float]) -> list[Row]:
    ours = rates["dropslot"]
    title = f"C-STORE of 530 KB, synced, {associations} at a time"
    peers = [
        Row(
            title,
            f"{ours:.0f}/s",
            f"{name}, not synced",
            f"{rates[name]:.0f}/s",
            ours / rates[name],
            None,
            at_most=False,
        )
        for name in ("storescp", "Orthanc")
    ]
    return [*peers, Row("… against the limit", f"{ours:.0f}/s", "", "", ours, _LIMIT, "/s", at_most=False)]


def _rate(scratch: Path, running: Running, associations: int) -> float:
    """Instances a second, from the start of the senders to the end of the last one."""
    count, port = associations * _EACH, free_port()
    with fresh_disk(scratch, payload_bytes=4 * count * dicom_images.SIZE_BYTES, files=4 * count) as disk:
        for number in range(associations):
            dicom_images.write_series(disk / f"series{number}", number, _EACH)
        settle_disk(disk)
        with running(disk, port):
            begun = time.perf_counter()
            senders = [_sender(disk / f"series{number}", number, port) for number in range(associations)]
            if any(sender.wait(600) for sender in senders):
                raise RuntimeError("storescu failed")
            return count / (time.perf_counter() - begun)


def _sender(folder: Path, number: int, port: int) -> subprocess.Popen[bytes]:
    words = ["storescu", "-pdu", "131072", "+sd", "-aet", f"MR{number}", "-aec", "DROPSLOT"]
    return subprocess.Popen([*words, "127.0.0.1", str(port), str(folder)], env=_ENVIRONMENT)


@contextmanager
def _dropslot(disk: Path, port: int) -> Iterator[None]:
    route: dict[str, Any] = {
        "takes": "directories",
        "import": "dicom",
        "receive": {"aet": "DROPSLOT", "listen": f"127.0.0.1:{port}", "quiet": "1s"},
        "deliver": [{"to": "./studies"}],
    }
    slot = Slot(disk, route)
    slot.prepare()
    with slot.running():
        _wait_for(port)
        yield


@contextmanager
def _storescp(disk: Path, port: int) -> Iterator[None]:
    (disk / "storescp").mkdir()
    words = ["storescp", "--fork", "-pdu", "131072", "-od", str(disk / "storescp"), str(port)]
    process = subprocess.Popen(words, env=_ENVIRONMENT)
    try:
        _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _orthanc(disk: Path, port: int) -> Iterator[None]:
    os.environ["TCP_NODELAY"] = "1"
    with orthanc(disk / "orthanc", port):
        _wait_for(port)
        yield


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    words = ["echoscu", "-aec", "DROPSLOT", "127.0.0.1", str(port)]
    while subprocess.run(words, capture_output=True, check=False, timeout=30).returncode:
        if time.monotonic() > until:
            raise RuntimeError(f"nothing answers at port {port}")
        time.sleep(0.05)
