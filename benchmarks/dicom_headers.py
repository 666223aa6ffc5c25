"""Headers of images of 530 KB: processor time for each, in this process and in the one that parses.

The peer is what people write: pydicom's `dcmread` without pixels, and the same values as text.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pydicom

from benchmarks import dicom_images
from benchmarks.disks import fresh_disk
from benchmarks.report import Row
from dropslot.dicom_files.headers import KEYWORDS, PARSER, Header, read_headers
from dropslot.parsing import process

_FILES = 2_000
_PEER_FILES = 500
_LIMIT_MS = 0.4
_TICKS = os.sysconf("SC_CLK_TCK")


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians of the times; the contenders take turns on one folder, whose bytes are in the page cache."""
    times: dict[Callable[[Sequence[Path]], float], list[float]] = {_ours: [], _theirs: []}
    with fresh_disk(scratch, payload_bytes=_FILES * dicom_images.SIZE_BYTES, files=_FILES) as disk:
        dicom_images.write_series(disk / "series", 1, _FILES)
        paths = sorted((disk / "series").iterdir())
        for trial in range(trials):
            for contender in sorted(times, key=lambda one: one.__name__, reverse=bool(trial % 2)):
                times[contender].append(contender(paths))
        peak = _peak_mb()
    process.close()
    ours, theirs = (median(times[contender]) for contender in times)
    peer = f"pydicom without pixels ({theirs / ours:.1f} ×)"
    return [
        Row("a header, processor time", _ms(ours), peer, _ms(theirs), ours, _LIMIT_MS, "ms"),
        Row("… memory of the process that parses", f"{peak:.0f} MB", "", "", peak, 100, "MB"),
    ]


def _ms(value: float) -> str:
    return f"{value:.2f} ms"


def _ours(paths: Sequence[Path]) -> float:
    parser = process.parser(PARSER)
    parser.start()
    begun, pid = time.process_time() + _computed(parser.pid), parser.pid
    found = read_headers([(path.name, lambda path=path: path.open("rb")) for path in paths])  # type: ignore[misc]
    spent = time.process_time() + _computed(parser.pid) - begun
    if parser.pid != pid or any(not isinstance(each, Header) or each.faults for each in found):
        raise RuntimeError("not all headers were read, by one process and without a fault")
    return spent * 1000 / len(paths)


def _theirs(paths: Sequence[Path]) -> float:
    begun = time.process_time()
    for path in paths[:_PEER_FILES]:
        read = pydicom.dcmread(path, stop_before_pixels=True)
        if not {keyword: str(read[keyword].value) for keyword in KEYWORDS if keyword in read}:
            raise RuntimeError("pydicom read nothing")
    return (time.process_time() - begun) * 1000 / _PEER_FILES


def _computed(pid: int | None) -> float:
    """Seconds of processor time of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_mb() -> float:
    status = Path(f"/proc/{process.parser(PARSER).pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
