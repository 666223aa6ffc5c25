"""Finds the bytes of a damaged file elsewhere: in done, or at another destination of the same arrival."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Config
from dropslot.config.secrets import make_private
from dropslot.contents.base import Source
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.destinations import for_url, read
from dropslot.files.descriptors import Folder
from dropslot.files.listing import Item, Listing
from dropslot.files.regular_files import open_regular, sha256_of
from dropslot.files.syscalls import write_all

LEFT_FREE_BYTES = 1 << 30


class NotMended(DropslotError):
    """A damaged file could not be put back. Nothing was overwritten; what was there is there or was set aside."""

    code = "not-mended"


class Copy(NamedTuple):
    """One file that should have the bytes: its path in `source`, and the leading folder that is not delivered."""

    taken_from: str
    source: Source
    item: str
    strip: str = ""


@contextmanager
def good_copy(config: Config, delivery: Delivery) -> Iterator[Copy]:
    """A copy with the SHA-256 of the delivery, which was read to prove it. What another destination has is fetched into
    a folder that is removed at the end, after a crash by the next try. Raises NotMended if there is none, or no room
    for it."""
    tried: list[str] = []
    if copy := _in_done(delivery, tried):
        yield copy
        return
    folder = config.data / "mending" / str(delivery.pk)
    try:
        yield _from_others(config, delivery, folder, tried)
    finally:
        _remove(folder)


def _in_done(delivery: Delivery, tried: list[str]) -> Copy | None:
    arrival = delivery.arrival
    if not arrival.archived_as or arrival.in_place:
        tried.append("its original is no longer in done")
    elif delivery.source_sha256:
        tried.append("done has what it was made of, not the file itself")
    else:
        prefix = arrival.evidence.get("prefix", "")
        copy = _copy_in(arrival, f"{prefix}{delivery.source_item or delivery.item}", prefix, tried)
        if copy is not None and _digest(os.path.join(_root(arrival), copy.item)) == delivery.sha256:
            return copy
        tried.append("done does not have these bytes")
    return None


def _root(arrival: Arrival) -> str:
    return arrival.archived_as if arrival.is_folder else os.path.dirname(arrival.archived_as)


def _copy_in(arrival: Arrival, path: str, prefix: str, tried: list[str]) -> Copy | None:
    """The item in done. Staging follows no link beneath it and compares what it reads with this listing."""
    item = path if arrival.is_folder else os.path.basename(arrival.archived_as)
    try:
        root = _root(arrival)
        listing = Listing(arrival.is_folder, [_item(root, item)], _folders_of(root, item))
    except OSError as error:
        tried.append(f"done cannot be read: {error.strerror}")
        return None
    return Copy("done", Source(Path(arrival.archived_as), listing), item, prefix)


def _item(root: str, path: str) -> Item:
    seen = os.lstat(os.path.join(root, path))
    return Item(path, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)


def _folders_of(root: str, item: str) -> list[tuple[str, int]]:
    parents = [str(path) for path in reversed(PurePosixPath(item).parents)]
    return [(path, os.lstat(os.path.join(root, path)).st_mtime_ns) for path in parents if path != "."]


def _digest(path: str) -> str | None:
    """SHA-256 (hex) of a file; None if it cannot be read: another place may have the bytes."""
    try:
        with Folder.trusted(os.path.dirname(path)) as folder:
            fd = open_regular(folder, os.path.basename(path))
        return None if fd is None else sha256_of(fd, path)
    except (DropslotError, OSError):
        return None


def _from_others(config: Config, delivery: Delivery, folder: Path, tried: list[str]) -> Copy:
    rows = Delivery.objects.filter(arrival=delivery.arrival_id, item=delivery.item, sha256=delivery.sha256)
    for other in rows.exclude(place=delivery.place_id).select_related("place"):
        try:
            return _fetched(config, other, folder)
        except (DropslotError, OSError) as error:
            tried.append(f"{other.place.url}: {error}")
    reasons = "; ".join(map(escape, tried))
    raise NotMended(
        f"{escape(delivery.stored_as)} at {delivery.place.url} has no other copy with its bytes: {reasons}",
        where="It stays as it is",
        next_step="If somebody has the file, drop it again: it becomes the next version. Then accept the damage:"
        f" dropslot damaged --accept {delivery.arrival_id} --reason 'WHY'",
    )


def _fetched(config: Config, other: Delivery, folder: Path) -> Copy:
    """What another destination has, in a file of this machine."""
    url = other.place.url
    if not for_url(url).can_be_read:
        raise NotMended(f"{url} only acknowledges")
    make_private(folder.parent, config.data)
    make_private(folder, config.data)
    _require_room(folder, other.size_bytes)
    name = PurePosixPath(other.item).name
    path = folder / name
    if _written(path, url, other.stored_as) != other.sha256:
        raise NotMended(f"{escape(other.stored_as)} at {url} is not as it was delivered, either")
    os.utime(path, ns=(other.mtime_ns, other.mtime_ns))
    return Copy(url, Source(path, Listing(False, [_item(str(folder), name)])), name)


def _require_room(folder: Path, size_bytes: int) -> None:
    """Raise NotMended unless as much stays free on this disk as its database and logs may need."""
    free = os.statvfs(folder)
    free_bytes = free.f_bavail * free.f_frsize
    if free_bytes < size_bytes + LEFT_FREE_BYTES:
        raise NotMended(
            f"a copy of {size(size_bytes)} is made in {escape(str(folder.parent))}, where {size(free_bytes)} are free;"
            f" {size(LEFT_FREE_BYTES)} must stay free"
        )


def _written(path: Path, url: str, stored_as: str) -> str:
    digest = sha256(usedforsecurity=False)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for block in read(url, stored_as):
            digest.update(block)
            write_all(fd, memoryview(block))
    finally:
        os.close(fd)
    return digest.hexdigest()


def _remove(folder: Path) -> None:
    try:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    except FileNotFoundError:
        return
