"""The names of all bags, one JSON object a line: what a lost ledger is made from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from dropslot.core.reading_json import MALFORMED
from dropslot.sender.home_folder import writing


@dataclass(frozen=True, slots=True)
class Noted:
    """A bag that was begun: `roots` says where each subfolder was on this PC; a root that is a file ends in no
    separator and holds itself."""

    bag: str
    inbox: str
    study: str
    location: str
    begun_at: str
    access: Mapping[str, Any]
    roots: Mapping[str, str]


def note(path: Path, noted: Noted) -> None:
    """Append one line, durably: it is there before anything of the bag is sent. Raises HomeUnready."""
    line = json.dumps(asdict(noted)).encode() + b"\n"
    with writing(path), path.open("ab+") as file:
        if file.tell() and not _is_whole(file):
            line = b"\n" + line  # a crash cut the last line: this one is not part of it
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _is_whole(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def noted(path: Path) -> Iterator[Noted]:
    """All bags, the oldest first; lines that a crash cut are left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield Noted(**json.loads(line))
            except MALFORMED:
                continue


def roots(path: Path, bag: str) -> Mapping[str, str]:
    """Where the subfolders of a bag were on this PC."""
    return next((each.roots for each in noted(path) if each.bag == bag), {})
