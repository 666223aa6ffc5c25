"""Uploads all items of an arrival into a stage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dropslot.contents.base import Source
from dropslot.destinations.layout import Layout
from dropslot.destinations.sftp.staging import RemoteStage, gone
from dropslot.files import copying
from dropslot.files import faults as faults_of_storage
from dropslot.files.copying import READ, miscounted
from dropslot.files.descriptors import Descent
from dropslot.files.listing import Item
from dropslot.sftp import wire
from dropslot.sftp.connection import Connection
from dropslot.sftp.pace import Pace
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.transfers.many_files import SMALL_BYTES, WIDE_FILES, File, Upload
from dropslot.sftp.wire import Attributes


class StageUpload(Upload):
    """Items of one arrival on their way into one stage. `source` is a descriptor of the arrival's folder, or of the one
    that holds its single file. It raises SourceChanged, SourceUnready, TakenOver, and what every upload raises."""

    def __init__(
        self,
        account: Account,
        stage: RemoteStage,
        layout: Layout,
        attributes: Attributes,
        pace: Pace,
        algorithms: Sequence[str],
        source: int,
        items: Sequence[Item],
        arrival: Source,
        *,
        read_back: bool,
        leftovers: bool,
    ) -> None:
        super().__init__(account, stage.path, attributes, pace, algorithms)
        self.stage, self.layout, self.source, self.items = stage, layout, source, items
        self.lease, self.read_back, self.leftovers = arrival.lease, read_back, leftovers
        self.unleased = 0 if self.lease else len(items)
        self._pause = arrival.pause
        self.strict = attributes != wire.NOTHING  # a server that refuses to set times alone is fine
        self._sources: Descent | None = None

    def check(self) -> None:
        self._pause()

    def files(self) -> Iterator[File]:
        for number, item in enumerate(self.items):
            path = f"{self.stage.path}/{self.layout.path(item.path)}"
            yield File(number, path, item.size_bytes, item.mtime_ns)

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._sources = Descent(self.source)
        try:
            yield
        finally:
            self._sources.close()

    def open(self, number: int) -> int:
        """Open the item, proved to be the listed one, under a lease if the system grants one."""
        assert self._sources
        item = self.items[number]
        folder, _, name = item.path.rpartition("/")
        try:
            fd = os.open(name, READ, dir_fd=self._sources.fd(folder))
        except OSError as error:
            raise self.unreadable(number, error) from error
        try:
            copying.require_same(fd, item)
            if self.lease and not copying.take_lease(fd, item.path):
                self.unleased += 1
        except BaseException:
            os.close(fd)
            raise
        return fd

    def unreadable(self, number: int, error: OSError) -> Exception:
        return faults_of_storage.at_source(error, self.items[number].path)

    def miscounted(self, number: int, count: int) -> Exception:
        return miscounted(self.items[number], count)

    def gone(self) -> Exception:
        return gone(self.stage)

    async def prepare(self, connection: Connection, *, again: bool) -> Mapping[int, int]:
        if again:
            await self.stage.require(connection)
        return {}

    def is_wide(self) -> bool:
        return is_wide(self.items)


def is_wide(items: Sequence[Item]) -> bool:
    """Whether more than one channel pays off."""
    return len(items) > WIDE_FILES or any(item.size_bytes > SMALL_BYTES for item in items)
