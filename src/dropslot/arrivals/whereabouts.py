"""The paths of an arrival on its way: inbox, processing/ID-EPOCH/NAME, done/NAME, failed/ID/NAME."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.names import escape, fault_of_name

if TYPE_CHECKING:
    from dropslot.arrivals.models import Arrival
    from dropslot.config import Config

AGAIN = ".again"
SENT_AS = (
    "sent_as"  # in the evidence of an arrival that runs under another name: the one that its sender gave it
)
DOOMED = ".purge-"  # begins the name of what is being removed from failed
_REASON, _REASON_BESIDES = REASONS = ("REASON.txt", "REASON.dropslot.txt")
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_HELD = re.compile(rf"({_ULID.pattern})-(\d+)")


def epoch_of(holding: Path) -> int:
    """The epoch in the name of a folder in processing; 0: it is none."""
    match = _HELD.fullmatch(holding.name)
    return int(match[2]) if match else 0


def is_id(name: str) -> bool:
    """Whether a name is an arrival's id."""
    return _ULID.fullmatch(name) is not None


def held(folders: FolderSet, arrival: str, epoch: int) -> Path:
    """The folder in processing that holds an arrival for one epoch. Its name contains the epoch, so the path of a
    worker that was taken over leads nowhere. A claim is made for the first worker: epochs count from 1."""
    return folders.processing / f"{arrival}-{max(epoch, 1)}"


def holdings(folders: FolderSet) -> Iterator[tuple[str, int, Path]]:
    """(arrival, epoch, folder) of all arrivals in processing; nothing else there is ours."""
    with os.scandir(folders.processing) as entries:
        for entry in entries:
            match = _HELD.fullmatch(entry.name)
            if match and entry.is_dir(follow_symlinks=False):
                yield match[1], int(match[2]), Path(entry.path)


def refused(folders: FolderSet, arrival: str) -> Path:
    """failed/ID: the arrival beside its reason."""
    return folders.failed / arrival


def reason_file(folder: Path, name: str) -> Path:
    """The readable reason beside a refused arrival; another name if the arrival itself has this one."""
    return folder / (_REASON if name != _REASON else _REASON_BESIDES)


def entry_of(folder: Path, name: str) -> list[str]:
    """The entry in an arrival's own folder in failed or processing: `name` if it is there, otherwise the name that a
    person may have given it. Without the reason and hidden files of file managers. Empty if there is nothing."""
    try:
        names = set(os.listdir(folder))
    except FileNotFoundError:
        return []
    if name in names:
        return [name]
    # Beside an arrival with the name REASON.txt, the reason has its other name.
    reasons = {_REASON_BESIDES} if names >= {_REASON, _REASON_BESIDES} else {_REASON, _REASON_BESIDES}
    found = sorted(names - reasons)
    return [entry for entry in found if not entry.startswith(".")] or found


def remove_reasons(folder: Path, name: str) -> None:
    """Remove the reason beside the arrival `name`, whatever the arrival's name was when it was written."""
    for reason in {_REASON, _REASON_BESIDES} - {name}:
        (folder / reason).unlink(missing_ok=True)


def fault_of_arrival(name: str, *, marks: bool = False) -> str | None:
    """Why an arrival may not have this name, as a sentence; None if it may. Its name goes into done, failed, records
    and manifests, even where it is no part of what is delivered. `marks`: direction marks may be in it."""
    why = fault_of_name(name, marks=marks)
    if why is None and name == AGAIN:
        why = "in done that name is kept for dropslot itself"
    return f"{escape(name)}: {why}" if why else None


def archived(folders: FolderSet, arrival: str, name: str) -> tuple[Path, Path]:
    """done/NAME, and where the arrival goes when that is taken: done/.again/ID/NAME."""
    return folders.done / name, folders.done.joinpath(AGAIN, arrival, name)


def archive_name(folders: FolderSet, arrival: str, name: str) -> Path:
    """Where the arrival will be archived, as things are now."""
    first, again = archived(folders, arrival, name)
    return again if os.path.lexists(first) else first


def folders_of(config: Config, row: Arrival) -> FolderSet | None:
    """The folders that an arrival came through; None if they are no longer in config.yaml."""
    route = config.routes.get(row.route)
    sets = folder_sets(route, make=False) if route else []
    return next((folders for folders in sets if str(folders.inbox) == row.inbox), None)
