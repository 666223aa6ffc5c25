"""Folders of `fetch_dicom`, which an archive fills through the receiver.

    .dropslot-dicom-f-RANDOM/about.json              which studies, from whom
    .dropslot-dicom-f-RANDOM/data/SERIES/UID.dcm     what has come

The folder is locked while its command runs. What a command leaves that was killed is removed: the archive still has it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dropslot.core.names import RECEIVING
from dropslot.dicom.receiving.hidden_folders import noted, read_about
from dropslot.files.descriptors import Folder, lock, remove_folder

PREFIX = f"{RECEIVING}f-"
_YOUNG_SECONDS = 60.0  # it may not be locked yet


class Fetch(NamedTuple):
    """What a running command waits for: studies from an archive, which it names itself, by one C-MOVE. What others have
    the archive send meanwhile, or what it sends by itself, is not part of it."""

    folder: Path
    aet: str
    studies: frozenset[str]
    move: str  # its key; empty: it is got in another way

    def wants(self, aet: str, study_uid: str, move: str) -> bool:
        """Whether an instance of this study, from this sender for this C-MOVE, belongs to it."""
        return aet == self.aet and study_uid in self.studies and move == self.move != ""


def running_fetches(inbox: Path) -> list[Fetch]:
    """Those of commands that run. Others are removed."""
    found = []
    with Folder.trusted(str(inbox)) as box:
        for name in os.listdir(box.fd):
            if name.startswith(PREFIX) and _runs(box, name) and (about := read_about(inbox / name)):
                studies = frozenset(about.get("studies", ()))
                found.append(Fetch(inbox / name, noted(about, "aet"), studies, noted(about, "move")))
    return found


def _runs(box: Folder, name: str) -> bool:
    with suppress(FileNotFoundError), box.beneath(name) as folder:
        if time.time() - os.fstat(folder.fd).st_mtime < _YOUNG_SECONDS or not lock(folder):
            return True
        remove_folder(box.fd, name)
    return False
