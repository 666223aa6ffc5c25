"""One arrival on its way into a bucket.

Small items are hashed at their source; publishing reads them once more and sends each by one request. Large items are
sent in parts while they are hashed, and publishing completes them. A folder in the spool marks the epoch: a later one
removes it, and the earlier worker then sends nothing more.

A helper sends large items as the holder does, and tells it the ids and digests of their parts. One that goes on after a
takeover publishes nothing: parts are invisible, and whoever completes an object names the digest of each part. At most
the parts of an object are sent once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from dropslot.contents.base import Source, Staged
from dropslot.core.errors import DestinationUnready, DropslotError, Refused
from dropslot.core.names import escape
from dropslot.destinations.base import Planned, Stored, Target
from dropslot.destinations.layout import Layout, every, staged_items, taken_over
from dropslot.destinations.local.staging import Stage, discard_older
from dropslot.destinations.s3.in_parts import PART_BYTES, InParts, Updated
from dropslot.destinations.s3.object_keys import LONGEST_BYTES, Looking, is_empty, key_of, prefix_of
from dropslot.destinations.s3.reading_ahead import ReadingAhead, digest_of
from dropslot.destinations.s3.staging import Reading, changed, read_into, require_count, staged_bytes
from dropslot.destinations.shared import Part, SharedDrop, elsewhere
from dropslot.destinations.whole_items import WholeItemsDrop, apart
from dropslot.files.descriptors import Folder
from dropslot.files.listing import Item, is_kept, storable, unusual
from dropslot.files.regular_files import open_at_source
from dropslot.files.writing.dense import go_on

if TYPE_CHECKING:
    from dropslot.destinations.s3.destination import S3


class S3Drop(WholeItemsDrop, SharedDrop):
    """Holds descriptors of the arrival and of its mark in the spool."""

    destination: S3

    def __init__(self, destination: S3, target: Target, arrival: str, epoch: int, name: str) -> None:
        super().__init__(destination, target, arrival, epoch, name)
        self._mark: Stage | None = None
        self._source: Source | None = None
        self._algorithms: tuple[str, ...] = ()
        self._folder: Folder | None = None
        self._items: dict[str, Item] = {}
        self._sent: dict[str, InParts] = {}  # large items that only have to be completed, by path
        self._one_large = threading.Lock()
        self._is_cut = False  # the store or a helper failed: parts stay there for the next attempt
        self._looking = Looking(destination.store, target)
        self._ahead: ReadingAhead | None = None

    # Staging

    def discard_older(self) -> None:
        with self._spool() as spool:
            discard_older(spool, self.arrival, self.epoch)

    def _spool(self) -> Folder:
        self.destination.spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Folder.trusted(str(self.destination.spool))

    @property
    def prefix(self) -> str:
        return self.destination.access.fingerprint

    @property
    def gains(self) -> bool:
        """Small items are only hashed before they are published."""
        return any(item.size_bytes > PART_BYTES for item in self._items.values())

    def stage(self, source: Source, algorithms: Sequence[str] = ("sha256",), strip: str = "") -> list[Staged]:
        self.begin(source, algorithms, strip)
        return self.end([self.stage_items(0, len(source.listing.items))])

    def begin(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        if source.listing.faults:
            raise ValueError("a listing with faults is never staged")
        self.clean()
        self._mark = Stage.make(self._spool(), self.arrival, self.epoch, apart(self.target))
        self._set_source(source, algorithms, strip)

    def join(self, source: Source, algorithms: Sequence[str], strip: str, prefix: str) -> None:
        if prefix != self.prefix:
            raise elsewhere()
        self._set_source(source, algorithms, strip)

    def _set_source(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        self._layout, self._source, self._folder = Layout("", strip), source, source.open()
        self._items = {item.path: item for item in source.listing.items}
        self._algorithms = every(algorithms)

    def stage_items(self, start: int, stop: int, *, again: bool = False) -> Part:  # noqa: ARG002 - parts are found again
        source, folder = self._opened()
        items = source.listing.items[start:stop]
        reading = Reading(source, folder, self._algorithms)
        try:
            digests = b"".join(self._staged(reading, item, source.pause) for item in items)
        finally:
            reading.close()
        return Part(digests, reading.unleased, uploads=self._uploads(items))

    def _uploads(self, items: Sequence[Item]) -> bytes:
        """What the holder must know of the large ones among these items, in JSON."""
        sent = {item.path: self._sent[item.path].state() for item in items if item.path in self._sent}
        return json.dumps(sent).encode("ascii")

    def adopt(self, part: Part) -> None:
        for path, state in json.loads(part.uploads).items():
            item = self._items[path]
            self._sent[path] = in_parts = self._in_parts(item, self._layout.published(path) or "")
            in_parts.restore(state)

    def keep_sent(self) -> None:
        self._is_cut = True

    def end(self, parts: Sequence[Part]) -> list[Staged]:
        source, _ = self._opened()
        self._ahead = ReadingAhead(self.destination.store, list(self._small_keys(source.listing.items)))
        self.leased = source.lease and not sum(part.unleased for part in parts)
        staged = staged_items(source.listing, self._algorithms, b"".join(part.digests for part in parts))
        for at in unusual(source.listing.items):
            staged[at] = staged[at]._replace(mtime_ns=storable(staged[at].mtime_ns))
            self.shifted += not is_kept(source.listing.items[at].mtime_ns, staged[at].mtime_ns)
        return staged

    def _small_keys(self, items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            name = self._layout.published(item.path)
            if name is not None and item.size_bytes <= PART_BYTES:
                yield key_of(self.target, name)

    def _forget_ahead(self) -> None:
        if self._ahead:
            self._ahead.close()
            self._ahead = None

    def _staged(self, reading: Reading, item: Item, pause: Callable[[], None]) -> bytes:
        pause()
        name = self._layout.published(item.path)
        if item.size_bytes <= PART_BYTES or name is None or self.stored(name):
            return reading.digests(item)  # what has its name already is perhaps unchanged
        self.require_stage()
        hashes = reading.hashes()
        self._sent[item.path] = in_parts = self._in_parts(item, name)
        with reading.open(item) as fd:
            require_count(item, self._sending(in_parts, fd, item, hashes, pause))
        return b"".join(one.digest() for one in hashes)

    def _in_parts(self, item: Item, name: str) -> InParts:
        return InParts(self.destination.store, key_of(self.target, name), item.size_bytes, _metadata(item))

    def _sending(
        self,
        in_parts: InParts,
        fd: int,
        item: Item,
        hashes: Sequence[Updated],
        pause: Callable[[], None] = go_on,
    ) -> int:
        def read(buffer: memoryview) -> int:
            pause()
            return read_into(fd, buffer, path=item.path)

        try:
            return in_parts.send(read, hashes)
        except DestinationUnready:
            self._is_cut = True
            raise

    def admit(self, items: Sequence[Staged]) -> None:
        names = (self._layout.published(item.path) or "" for item in items)
        keys = (prefix_of(self.target.url) + name for name in names)
        if long := [key for key in keys if len(key.encode(errors="surrogateescape")) > LONGEST_BYTES]:
            raise Refused(
                [f"{escape(key)} is too long: a key has at most {LONGEST_BYTES} bytes" for key in long]
            )

    def require_stage(self) -> None:
        if self._source is None or self._folder is None:
            return
        if self._mark:
            self._mark.require()
        # Another machine has no mark here; but whoever takes the arrival over renames its folder.
        with self._source.open() as now:
            if not os.path.samestat(os.fstat(now.fd), os.fstat(self._folder.fd)):
                raise taken_over(f"{self.arrival}-{self.epoch}")

    def _opened(self) -> tuple[Source, Folder]:
        if self._source is None or self._folder is None:
            raise RuntimeError("nothing is staged by this drop")
        return self._source, self._folder

    # Looking

    def is_new(self) -> bool:
        return is_empty(self.destination.store, prefix_of(self.target.url))

    def stored(self, name: str) -> Stored | None:
        return self._looking.at(name)

    def digest(self, name: str) -> str | None:
        key = key_of(self.target, name)
        return self._ahead.digest(key) if self._ahead else digest_of(self.destination.store, key)

    # Publishing

    def publish(self, plan: Sequence[Planned]) -> list[Planned]:
        if self._mark is None:
            raise RuntimeError("nothing is staged by this drop")
        self._looking = Looking(self.destination.store, self.target)
        self._forget_ahead()  # from now on the names change
        try:
            return super().publish(plan)
        except DestinationUnready:
            self._is_cut = True
            raise

    def send_staged(self, planned: Planned) -> bool:
        self.require_stage()
        item, key = self._items[planned.path], key_of(self.target, planned.stored_as)
        if item.size_bytes > PART_BYTES:
            return self._complete(item, planned, key)
        data = staged_bytes(self._opened()[1], item, planned.sha256)
        return self.destination.store.put(key, data, bytes.fromhex(planned.sha256), _metadata(item))

    def _complete(self, item: Item, planned: Planned, key: str) -> bool:
        sent = self._sent.pop(planned.path, None)
        if sent and sent.key != key:
            sent.abort()  # it gets another name than was thought
        elif sent and sent.complete():
            return True
        # Otherwise it has its name from an earlier attempt, or somebody else took the name or removed the parts.
        if self.destination.store.look(key) is not None:
            return False
        with self._one_large:  # each has several parts in memory
            return self._send_again(item, planned)

    def _send_again(self, item: Item, planned: Planned) -> bool:
        in_parts, sha256 = self._in_parts(item, planned.stored_as), hashlib.sha256(usedforsecurity=False)
        fd = open_at_source(self._opened()[1], item.path)
        try:
            self._sending(in_parts, fd, item, [sha256])
        finally:
            os.close(fd)
        if sha256.hexdigest() != planned.sha256:
            in_parts.abort()
            raise changed(item)
        return in_parts.complete()

    # The end

    def clean(self) -> None:
        sent, self._sent = self._sent, {}
        for in_parts in sent.values() if sent and self._are_parts_ours() else ():
            in_parts.abort()
        if self._mark:
            self._mark.remove()
        self.close()

    def _are_parts_ours(self) -> bool:
        """Whether no other attempt goes on with what was sent: neither the next one, nor that of a worker that has
        taken the arrival over."""
        try:
            self.require_stage()
        except DropslotError:
            return False
        return not self._is_cut

    def close(self) -> None:
        self._forget_ahead()
        for held in (self._mark, self._mark and self._mark.home, self._folder):
            if held:
                held.close()
        self._mark = self._folder = self._source = None


def _metadata(item: Item) -> dict[str, str]:
    """The time of the item, as rclone and others keep it."""
    seconds, rest = divmod(item.mtime_ns, 1_000_000_000)
    return {"mtime": f"{seconds}.{rest:09d}"}
