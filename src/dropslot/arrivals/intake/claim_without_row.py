"""Makes a claim from an entry in processing or failed that has no row, or has lost it."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dropslot.arrivals import whereabouts
from dropslot.arrivals.intake import seal
from dropslot.arrivals.intake.claim import Claim
from dropslot.config.route_folders import FolderSet


def claim_in(folders: FolderSet, arrival: str, folder: Path) -> Claim | None:
    """The claim of the entry in a folder of processing or failed; None: the rename into it did not happen, or another
    process works on it."""
    with suppress(FileNotFoundError):
        names = [name for name in os.listdir(folder) if not _is_reason(folder, name)]
        if not names:
            return None
        # Not a file that a file manager left beside it.
        name = min(names, key=lambda name: (name.startswith("."), folders.route.litter.match(name), name))
        entry = folder / name
        is_folder = entry.is_dir() and not entry.is_symlink()
        size = None if is_folder else os.lstat(entry).st_size
        received = datetime.fromtimestamp(os.stat(folder).st_mtime, UTC)  # the rename into it was the claim
        sender = seal.sender(entry, folders.route.litter)
        epoch = whereabouts.epoch_of(folder)
        begun = epoch if epoch > 1 else 0  # else it may never have been worked on
        return Claim(arrival, folders, name, is_folder, sender, size, received, epoch=begun)
    return None


def _is_reason(folder: Path, name: str) -> bool:
    """Whether a file is the reason that is written beside a refused arrival; a reason is never alone."""
    others = [other for other in os.listdir(folder) if other != name]
    return any(whereabouts.reason_file(folder, other).name == name for other in others)
