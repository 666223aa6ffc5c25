"""Whose folders these are: a marker in each processing folder, with the id of the installation that uses it.

The inbox itself has the id as an extended attribute where its file system keeps one, because two installations may
have one inbox and different processing folders. The id is in the database, and once more in the data folder: a
database that is made anew, or restored, is still the same installation.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from django.db import DatabaseError
from ulid import ULID

from dropslot.arrivals.models import Arrival, Installation
from dropslot.arrivals.registry import Finding
from dropslot.arrivals.whereabouts import is_id
from dropslot.config import Config
from dropslot.config.route_folders import FolderSet, all_folders
from dropslot.config.secrets import make_data_folder
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

NAME = ".dropslot-installation"
ATTRIBUTE = "user.dropslot.installation"
ONLY_ONE = (
    "give this installation folders of its own, or stop using this one. If the other one no longer exists,"
    " `dropslot rebuild` with an empty database takes over what it delivered; to begin anew: "
)


class OtherInstallation(DropslotError):
    """The folders of a route are used by another installation. Nothing was taken from them."""

    code: ClassVar[str] = "other-installation"


@dataclass(frozen=True, slots=True)
class Mark:
    """Who uses a folder: an installation, where it is, and the watcher that acts now (empty: none)."""

    installation: str
    host: str
    data: str
    watcher: str = ""

    def __str__(self) -> str:
        return f"{escape(self.installation)} on {escape(self.host)}, data folder {escape(self.data)}"


def identity(config: Config) -> str:
    """The id of this installation: of the database, of the data folder, or of a marker that was written here; a new one
    if there is none. Raises DatabaseError."""
    row = Installation.objects.first()
    if row is None:
        new = _kept(config) or next(_of_markers(config, here=True), "") or str(ULID())
        row, _ = Installation.objects.get_or_create(only=1, defaults={"id": new})
    if _kept(config) != row.id:
        with suppress(OSError):  # a reader of another account, or a full disk; the next start tries again
            make_data_folder(config.data)
            _write(config.data / "installation", row.id)
    return row.id


def continue_lost(config: Config) -> None:
    """With an empty database, be the installation that the markers name: its database and data folder were lost.
    Raises DatabaseError."""
    lost = next(_of_markers(config), "")
    if lost and not Arrival.objects.exists():
        Installation.objects.update_or_create(only=1, defaults={"id": lost})
        identity(config)


def _of_markers(config: Config, *, here: bool = False) -> Iterator[str]:
    """`here`: of those that this machine wrote for this data folder; no two installations have one data folder."""
    own = (socket.gethostname(), str(config.data))
    for mark in filter(None, map(read, all_folders(config))):
        if not here or (mark.host, mark.data) == own:
            yield mark.installation


def _kept(config: Config) -> str:
    with suppress(OSError, UnicodeDecodeError):
        text = (config.data / "installation").read_text("ascii").strip()
        return text if is_id(text) else ""
    return ""


def path_of(folders: FolderSet) -> Path:
    """The marker of a set of folders."""
    return folders.processing / NAME


def read(folders: FolderSet) -> Mark | None:
    """The marker in processing; None: there is none that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return Mark(**json.loads(path_of(folders).read_text("utf-8")))
    return None


def write(folders: FolderSet, mark: Mark) -> None:
    """Put the marker there, in place of an older one. What cannot be marked is not: a full or read-only disk."""
    with suppress(OSError):
        _write(path_of(folders), json.dumps(asdict(mark)))
    with suppress(OSError):
        os.setxattr(folders.inbox, ATTRIBUTE, json.dumps(asdict(mark) | {"watcher": ""}).encode())


def end(path: Path) -> None:
    """Say in a marker that its watcher has ended."""
    with suppress(OSError, ValueError, TypeError):
        mark = json.loads(path.read_text("utf-8"))
        _write(path, json.dumps(mark | {"watcher": ""}))


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.new")
    new.write_text(f"{text}\n", "utf-8")
    new.chmod(0o600)
    new.replace(path)


def other(folders: FolderSet, installation: str) -> tuple[Mark, str] | None:
    """Another installation that uses these folders, and the command that removes its marker."""
    mark = read(folders)
    if mark and mark.installation != installation:
        return mark, f"rm {escape(str(path_of(folders)))}"
    mark = _on_inbox(folders)
    if mark and mark.installation != installation:
        return mark, f"setfattr -x {ATTRIBUTE} {escape(str(folders.inbox))}"
    return None


def examine(folders: FolderSet) -> Iterator[Finding]:
    """Whether another installation uses them. Changes nothing; finds nothing if the database does not answer."""
    with suppress(DatabaseError):
        row = Installation.objects.first()
        if row and (found := other(folders, row.id)):
            mark, remove = found
            what = words_for(folders, mark, row.id)
            yield Finding("error", f"route {folders.route.key}", what, f"{ONLY_ONE}{remove}")


def _on_inbox(folders: FolderSet) -> Mark | None:
    if folders.route.leave_source:  # nothing is taken from it: several installations may read it
        return None
    with suppress(OSError, ValueError, TypeError):
        seen = os.stat(folders.inbox)
        shared = stat.S_IMODE(seen.st_mode) & 0o022 and not seen.st_mode & stat.S_ISVTX
        if not shared:  # else a sender could have set it
            return Mark(**json.loads(os.getxattr(folders.inbox, ATTRIBUTE)))
    return None


def words_for(folders: FolderSet, mark: Mark, installation: str) -> str:
    """What is wrong, as a sentence."""
    place = escape(str(folders.inbox))
    return (
        f"The inbox {place} of route {folders.route.key} belongs to another installation: {mark}; this one is"
        f" {installation}"
    )
