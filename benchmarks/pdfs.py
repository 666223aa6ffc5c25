"""Result PDFs a second whose text is looked at: the whole way of `drain`, and the check alone.

The peer is the shell loop that people write: `pdftotext` for each file, and `grep` for what its name says. It only
looks; dropslot delivers, syncs, hashes and records besides.
"""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from reportlab.pdfgen.canvas import Canvas

from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row
from benchmarks.slot import RESULTS, Slot
from dropslot.checks import StagedArrival, StagedItem, run
from dropslot.checks.pdf_contains import PdfContains
from dropslot.parsing import process

_FILES = 2_000
_PEER_FILES = 500
_LIMIT_A_SECOND = 100
_PATTERN = r"^(?P<specimen>066-\d{8}-\d)(?!\d)"
_ROUTE: dict[str, Any] = RESULTS | {
    "select": {"patterns": ["*.pdf"], "mime": ["application/pdf"]},
    "checks": [{"pdf_contains": _PATTERN}],
}
_LOOP = """
cd "$1"
for f in *.pdf; do
    pdftotext "$f" - | grep -q "${f%.pdf}" || exit 1
done
"""


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians of the rates; the contenders take turns."""
    rates: dict[Callable[[Path], float], list[float]] = {_drained: [], _checked: [], _of_loop: []}
    for trial in range(trials):
        for contender in sorted(rates, key=lambda one: one.__name__, reverse=bool(trial % 2)):
            with fresh_disk(scratch, payload_bytes=_FILES * 8192, files=_FILES * 4) as disk:
                rates[contender].append(contender(disk))
    drained, checked, theirs = (median(rates[contender]) for contender in rates)
    limit = {"limit": _LIMIT_A_SECOND, "unit": "/s", "at_most": False}
    return [
        _row("one-page PDFs, their text checked, delivered and recorded", drained, theirs, limit),
        _row("one-page PDFs, the check alone", checked, theirs, limit),
    ]


def _row(what: str, ours: float, theirs: float, limit: dict[str, Any]) -> Row:
    peer = f"pdftotext and grep for each ({ours / theirs:.2f} ×)"
    return Row(what, f"{ours:.0f}/s", peer, f"{theirs:.0f}/s", ours, **limit)


def _drained(disk: Path) -> float:
    slot = Slot(disk, _ROUTE)
    slot.prepare()
    _write(slot.inbox, _FILES)
    settle_disk(disk)
    seconds = slot.drain().work_seconds
    if len(list(slot.destination.glob("*.pdf"))) != _FILES:
        raise RuntimeError("not all files were delivered")
    return _FILES / seconds


def _checked(disk: Path) -> float:
    folder = disk / "staged"
    folder.mkdir()
    _write(folder, _FILES)
    check = PdfContains(_PATTERN)
    begun = time.perf_counter()
    for path in folder.iterdir():
        item = StagedItem(path.name, path.stat().st_size, {}, lambda path=path: path.open("rb"))  # type: ignore[misc]
        if run([check], StagedArrival(path.name, {}, [item])):
            raise RuntimeError(f"{path.name} was refused")
    process.close()
    return _FILES / (time.perf_counter() - begun)


def _of_loop(disk: Path) -> float:
    folder = disk / "looked"
    folder.mkdir()
    _write(folder, _PEER_FILES)
    begun = time.perf_counter()
    subprocess.run(["sh", "-c", _LOOP, "sh", str(folder)], check=True)
    return _PEER_FILES / (time.perf_counter() - begun)


def _write(folder: Path, count: int) -> None:
    for number in range(count):
        specimen = f"066-{12_000_000 + number:08}-{number % 10}"
        (folder / f"{specimen}.pdf").write_bytes(_result(specimen))


def _result(specimen: str) -> bytes:
    """A page as laboratories send it: a head, and thirty lines."""
    made = io.BytesIO()
    canvas = Canvas(made, pageCompression=1)
    canvas.setFont("Helvetica-Bold", 14)
    canvas.drawString(72, 780, f"Specimen {specimen}")
    canvas.setFont("Helvetica", 9)
    for line in range(30):
        canvas.drawString(
            72, 740 - 14 * line, f"Assay {line}: {line * 37 % 1000} copies/mL, reference < 40, not detected"
        )
    canvas.showPage()
    canvas.save()
    return made.getvalue()
