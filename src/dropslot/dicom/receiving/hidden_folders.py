"""The hidden folders in an inbox: what is noted of them, and how an instance gets its place in them."""

from __future__ import annotations

import filecmp
import json
import os
from pathlib import Path
from typing import Any

from dropslot.arrivals.intake.claim import move_to_own
from dropslot.dicom.receiving.into_inbox import suffixes
from dropslot.dicom.receiving.receptions import ABOUT, INSTANCE, UID

DATA = "data"


def is_uid(text: str) -> bool:
    """Whether a text of a header can be a UID, and so be part of a path."""
    return UID.fullmatch(text) is not None and text.strip(".") != ""


def put(path: Path, data: Path, series: str) -> None:
    """Move a file of a reception into a study's folder, under its UID. The same bytes are kept once; other bytes get a
    name of their own."""
    folder = data / series
    folder.mkdir(mode=0o700, exist_ok=True)
    sop_uid = path.name.partition("-")[2].removesuffix(INSTANCE)
    for name in (f"{sop_uid}{suffix}{INSTANCE}" for suffix in suffixes(".")):
        try:
            move_to_own(path, folder / name)
        except FileExistsError:
            if filecmp.cmp(path, folder / name, shallow=False):
                path.unlink()
                return
        else:
            return


def note_sorted(reception: Path, count: int) -> None:
    """How many instances of a reception were moved to their studies: for its event, if this process ends before."""
    about = read_about(reception)
    if about is not None:
        write_about(reception, about | {"sorted": count})


def note_ended(reception: Path) -> None:
    """Nothing more will come into a reception that its own process leaves to another one."""
    about = read_about(reception)
    if about is not None:
        write_about(reception, about | {"ended": "released"})


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Note it in a hidden folder; after a crash it is as before, or as now."""
    with (folder / f"{ABOUT}.new").open("w", encoding="utf-8") as new:
        new.write(json.dumps(about))
        new.flush()
        os.fsync(new.fileno())  # a rename alone may leave an empty file after a power cut
    os.rename(new.name, folder / ABOUT)


def read_about(folder: Path) -> dict[str, Any] | None:
    """What was noted of a hidden folder; None: nothing that can be read, which says nothing about what it holds. Raises
    OSError if that cannot be known now."""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return about if isinstance(about, dict) else None


def noted(about: dict[str, Any] | None, key: str) -> str:
    """A text of what was noted; empty if it is not known."""
    text = (about or {}).get(key)
    return text if isinstance(text, str) else ""
