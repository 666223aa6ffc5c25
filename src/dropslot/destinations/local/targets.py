"""Finding a target on this machine: its fixed part by path, everything below it by descriptors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass

from dropslot.core.errors import DestinationUnready, DropslotError, Refused, Unsupported
from dropslot.core.names import escape
from dropslot.destinations.base import Target
from dropslot.destinations.spelling import twin
from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder


@dataclass(slots=True)
class Place:
    """`home` is the target's folder, or its nearest ancestor that exists; `missing` leads from there to the target."""

    home: Folder
    path: str  # of the home
    missing: str

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.home.close()


def open_place(target: Target) -> Place:
    """Raises DestinationUnready when the fixed part or `must_exist` is missing, or when a link is in the way."""
    fixed = os.path.normpath(target.fixed)
    _require(fixed, target.must_exist)
    try:
        home = Folder.trusted(fixed)
    except OSError as error:
        raise unready(error, fixed) from error
    path, parts = fixed, _below(fixed, target.url)
    for at, name in enumerate(parts):
        try:
            below = Folder(os.open(name, FOLDER, dir_fd=home.fd))
        except FileNotFoundError:
            return Place(home, path, "/".join(parts[at:]))
        except OSError as error:
            home.close()
            raise unready(error, os.path.join(path, name)) from error
        home.close()
        home, path = below, os.path.join(path, name)
    return Place(home, path, "")


def homes(target: Target) -> list[Folder]:
    """The fixed folder and every folder below it on the way to the target that exists; the caller closes them."""
    opened = [Folder.trusted(os.path.normpath(target.fixed))]
    for name in _below(os.path.normpath(target.fixed), target.url):
        try:
            opened.append(Folder(os.open(name, FOLDER, dir_fd=opened[-1].fd)))
        except OSError:
            break  # missing, or not a folder: nothing can be staged below, either
    return opened


def kept_folders(target: Target, kept: Collection[str]) -> list[Folder]:
    """Every folder from the fixed one to these below the target: an earlier attempt may have made each of them. The
    caller closes them."""
    parents = {""}
    for path in kept:
        while path not in parents:
            parents.add(path)
            path = path.rpartition("/")[0]
    opened = homes(target) if kept else []
    return opened + [opened[-1].beneath(path) for path in sorted(parents - {""})]


def require_home(home: Folder, target: Target) -> None:
    """Raise if this folder is no longer on the target's path: its owner may have moved it."""
    opened = homes(target)
    try:
        ours = os.fstat(home.fd)
        there = [os.fstat(folder.fd) for folder in opened]
    finally:
        for folder in opened:
            folder.close()
    if not any((seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino) for seen in there):
        raise DestinationUnready(
            f"A folder on the way to {escape(target.url)} was renamed or replaced during the delivery",
            where="The staged data and the names published so far moved with it",
            next_step="Move it back, or leave it: the next attempt stages in the folder that is there",
        )


def _below(fixed: str, url: str) -> list[str]:
    path = os.path.normpath(url)
    if path == fixed:
        return []
    if not path.startswith(fixed.rstrip("/") + "/"):
        raise Unsupported(
            f"The target {escape(url)} does not lie in {escape(fixed)}",
            next_step="Correct `to` of this route",
        )
    return path[len(fixed.rstrip("/")) + 1 :].split("/")


def _require(fixed: str, must_exist: str | None) -> None:
    if not _is_folder(fixed):
        raise _missing(fixed)
    if must_exist is not None and not _is_folder(must_exist):
        # Its disk is mounted, so the name is mistyped: a permanent fault.
        what = f"{escape(must_exist)} does not exist, and must_exist forbids making it"
        raise Refused([what + _looks_the_same(must_exist)])


def _looks_the_same(path: str) -> str:
    above, name = os.path.split(path.rstrip("/"))
    if path.isascii():
        return ""
    try:
        return twin(name, os.listdir(above))
    except FileNotFoundError:
        return _looks_the_same(above)
    except OSError:
        return ""


def _is_folder(path: str) -> bool:
    """Raises DestinationUnready if that cannot be found out; os.path.isdir would return False then."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise faults.at_destination(error, f"looking at {escape(path)}") from error


def unready(error: OSError, path: str) -> DropslotError:
    """The error for a folder of the target that cannot be opened."""
    if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
        return DestinationUnready(
            f"{escape(path)} is a link or not a folder; dropslot never writes through it",
            where="Nothing of the arrival was delivered there",
            next_step="Move it out of the way or make it a real folder; it is retried",
        )
    if isinstance(error, FileNotFoundError):
        return _missing(path)
    return faults.at_destination(error, f"opening {escape(path)}")


def _missing(path: str) -> DestinationUnready:
    return DestinationUnready(
        f"{escape(path)} does not exist",
        where="Nothing of the arrival was delivered there",
        next_step="Mount its disk, or make the folder: dropslot never makes it, so that an unmounted disk is not "
        "filled. It is retried",
    )
