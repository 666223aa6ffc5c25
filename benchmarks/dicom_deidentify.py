"""De-identification of CT images of 530 KB with 258 elements: files a second of one core's time, beside two libraries
in the same run, and a whole delivery on all cores.

The peers are what people write: pydicom's `deid` with a recipe that has a rule for each attribute of the profile, and
grand-challenge-dicom-de-identifier, which was the best at removing planted identifiers. Neither searches its output;
ours does. They are in the extra `bench`.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import dicom_images
from benchmarks.disks import fresh_disk, settle_disk
from benchmarks.report import Row
from benchmarks.slot import Slot
from dropslot.contents.base import ListedItem
from dropslot.dicom_files.deidentifier import PARSER, profile
from dropslot.parsing import process

_FILES = 200
_LIMIT = 60
_ROUTE: dict[str, Any] = {
    "takes": "directories",
    "import": "dicom",
    "deidentify": {"profile": "basic", "dates": "shift"},
    "deliver": [{"to": "./studies/{PatientID}/{StudyInstanceUID}"}],
}
_QUESTION: dict[str, Any] = {
    "key": "00" * 32,
    "options": [],
    "dates": "shift",
    "accept": [],
    "recipe": [],
    "labels": [],
    "given": {},
    "method": ["benchmark"],
    "most_bytes": 8 << 20,
}


def measure(scratch: Path, trials: int) -> list[Row]:
    """Files a second of processor time, and of a whole delivery."""
    with fresh_disk(scratch, payload_bytes=2 * _FILES * dicom_images.SIZE_BYTES, files=2 * _FILES) as disk:
        dicom_images.write_series(disk / "series", 1, _FILES)
        files = sorted((disk / "series").iterdir())
        (out := disk / "out").mkdir()
        ours = median(_rate(files, lambda path: _ours(path, out)) for _ in range(trials))
        deid = median(_rate(files, _by_deid(disk, out)) for _ in range(trials))
        grand = median(_rate(files, _by_grand_challenge(out)) for _ in range(trials))
    whole = median(_delivered(scratch) for _ in range(trials))
    title = "De-identify, with the scan, 530 KB and 258 elements"
    return [
        Row(title, f"{ours:.0f}/s a core", "deid", f"{deid:.0f}/s", ours / deid, None, at_most=False),
        Row(
            "… the same",
            f"{ours:.0f}/s a core",
            "grand-challenge",
            f"{grand:.0f}/s",
            ours / grand,
            None,
            at_most=False,
        ),
        Row("… against the limit", f"{ours:.0f}/s a core", "", "", ours, _LIMIT, "files/s", at_most=False),
        Row(
            f"… delivered and recorded, {os.cpu_count()} cores",
            f"{whole:.0f}/s",
            "",
            "",
            whole / (os.cpu_count() or 1),
            _LIMIT,
            "files/s a core",
            at_most=False,
        ),
    ]


def _rate(files: list[Path], deidentify: Callable[[Path], None]) -> float:
    """Files a second of processor time, of this process and of the one that parses."""
    deidentify(files[0])
    with _processor_seconds() as used:
        for path in files:
            deidentify(path)
    return len(files) / used[0]


@contextmanager
def _processor_seconds() -> Iterator[list[float]]:
    def now() -> float:
        pid = process.parser(PARSER).pid
        own = resource.getrusage(resource.RUSAGE_SELF)
        theirs = time.clock_gettime((~pid << 3) | 2) if pid else 0.0
        return own.ru_utime + own.ru_stime + theirs

    used, began = [0.0], now()
    yield used
    used[0] = now() - began


def _ours(path: Path, out: Path) -> None:
    item = ListedItem(path.name, path.stat().st_size, lambda: path.open("rb"))
    memory = os.memfd_create("made")
    try:
        os.truncate(memory, _QUESTION["most_bytes"])
        with item.open() as sent:
            answer = process.parser(PARSER).ask([sent.fileno(), memory], _QUESTION, 60)
            with (out / path.name).open("wb", buffering=0) as made:
                made.write(os.pread(memory, answer["head"], 0))
                os.sendfile(made.fileno(), sent.fileno(), answer["pixels"][0], answer["pixels"][1])
                made.write(os.pread(memory, answer["tail"], answer["head"]))
    finally:
        os.close(memory)


def _by_deid(disk: Path, out: Path) -> Callable[[Path], None]:
    recipe = disk / "deid.dicom"
    verbs = {profile.REMOVE: "REMOVE {}", profile.EMPTY: "BLANK {}"}
    lines = [
        verbs.get(action, "REPLACE {} ANON").format(f"({tag >> 16:04x},{tag & 0xFFFF:04x})")
        for tag, action in profile.actions([], "remove").items()
        if tag >> 16 > 4
    ]
    recipe.write_text("\n".join(["FORMAT dicom", "%header", *lines]) + "\n")
    replace_identifiers = import_module("deid.dicom").replace_identifiers
    known = import_module("deid.config").DeidRecipe(deid=str(recipe))

    def deidentify(path: Path) -> None:
        (made,) = replace_identifiers(
            dicom_files=[str(path)], deid=known, save=False, remove_private=True, strip_sequences=False
        )
        made.save_as(out / path.name)

    return deidentify


def _by_grand_challenge(out: Path) -> Callable[[Path], None]:
    deidentifier = import_module("grand_challenge_dicom_de_identifier.deidentifier").DicomDeidentifier()

    def deidentify(path: Path) -> None:
        deidentifier.deidentify_file(path, output=out / path.name)

    return deidentify


def _delivered(scratch: Path) -> float:
    """Instances a second from the inbox to the folder: made anew, imported, delivered, recorded."""
    count = 5 * _FILES
    with fresh_disk(scratch, payload_bytes=3 * count * dicom_images.SIZE_BYTES, files=3 * count) as disk:
        slot = Slot(disk, _ROUTE)
        slot.prepare()
        for series in range(5):
            dicom_images.write_series(slot.inbox / f"series{series}", series, _FILES)
        settle_disk(disk)
        drained = slot.drain()
        done = sum(arrival["items"] for arrival in slot.arrivals() if arrival["state"] == "done")
        if done != count:
            raise RuntimeError(f"{done} of {count} instances were delivered")
    return count / drained.work_seconds
