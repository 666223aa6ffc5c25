"""The last step of everything that is received: a hidden folder gets its final name in the inbox, and is an arrival."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dropslot.arrivals.intake.claim import move
from dropslot.arrivals.models import Upload
from dropslot.core.names import escape
from dropslot.files.descriptors import Folder


def publish(inbox: Path, data: Path, wanted: str, sender: str) -> str:
    """Make an arrival of the folder `data`, whose files are durable. Returns its name: `wanted`, or `wanted_2` and so
    on if that is taken. One rename that cannot replace does it; the row of its sender comes first. Raises OSError and
    DatabaseError; after a crash the same call does it again.
    """
    _sync_folders(data)
    inode = os.lstat(data).st_ino
    for name in (f"{wanted}{suffix}" for suffix in suffixes("_")):
        if os.path.lexists(inbox / name):
            continue
        row: dict[str, Any] = {"inbox": str(inbox), "name": escape(name), "inode": inode}
        Upload.objects.update_or_create(**row, defaults={"sender": sender})
        try:
            move(data, inbox / name)
        except FileExistsError:
            Upload.objects.filter(**row).delete()
            continue
        with Folder.trusted(str(inbox)) as box:
            os.fsync(box.fd)
        return name
    raise AssertionError("names do not end")


def suffixes(mark: str) -> Iterator[str]:
    """Nothing, then `mark` and 2, 3 and so on."""
    return itertools.chain([""], (f"{mark}{number}" for number in itertools.count(2)))


def _sync_folders(data: Path) -> None:
    """Make the names in it durable; the bytes have been since they were acknowledged."""
    with Folder.trusted(str(data)) as folder:
        for inner in os.listdir(folder.fd):
            with folder.beneath(inner) as below:
                os.fsync(below.fd)
        os.fsync(folder.fd)
