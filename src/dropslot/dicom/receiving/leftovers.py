"""Receptions that a process has left: killed, or stopped while a sender was sending. What they hold was acknowledged,
so it is delivered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dropslot.dicom.receiving.hidden_folders import noted, read_about
from dropslot.dicom.receiving.receptions import INSTANCE, PREFIX, Peer
from dropslot.files.descriptors import Folder, lock, remove_folder

if TYPE_CHECKING:
    from pathlib import Path


class Left(NamedTuple):
    """A folder that nobody else has now: it stays locked while `folder` is open. `sorted` counts the instances that
    were moved to their studies before."""

    name: str
    folder: Folder
    peer: Peer
    sorted: int
    how: str  # how it ended: `released`, or `interrupted`


def left_receptions(inbox: Path) -> Iterator[Left]:
    """Those in an inbox. One that a crash left before it said who sends, and that holds nothing, is removed."""
    with Folder.trusted(str(inbox)) as box:
        for name in os.listdir(box.fd):
            if not name.startswith(PREFIX):
                continue
            with suppress(FileNotFoundError):
                folder = box.beneath(name)
                if not lock(folder):
                    continue
                about = read_about(inbox / name)
                if about is None and not any(each.endswith(INSTANCE) for each in os.listdir(folder.fd)):
                    remove_folder(box.fd, name)
                    continue
                count = (about or {}).get("sorted", 0)
                yield Left(
                    name,
                    folder,
                    Peer(noted(about, "aet"), noted(about, "host")),
                    count if isinstance(count, int) else 0,
                    noted(about, "ended") or "interrupted",
                )
