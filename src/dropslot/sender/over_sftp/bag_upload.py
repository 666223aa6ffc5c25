"""The files of a bag on their way to a server, resumed where they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from dropslot.core.errors import Refused, StorageFault
from dropslot.core.names import escape
from dropslot.sender.faults import BagGone
from dropslot.sender.inbox import Outgoing, Progress
from dropslot.sender.source_file import CHANGED, Unsendable, opened, require_same, unreadable
from dropslot.sftp import faults, remote, runtime
from dropslot.sftp.connection import Connection
from dropslot.sftp.pace import Pace
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.transfers.feed import MOST_BYTES
from dropslot.sftp.transfers.file_transfer import Sending
from dropslot.sftp.transfers.many_files import SMALL_BYTES, WIDE_FILES, File, Round, Upload
from dropslot.sftp.transfers.upload_state import Known
from dropslot.sftp.wire import Attributes, Said

MARK_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 255 * 1024  # one request
LONGEST_NAME_BYTES = 255  # of one name, on practically every file system
LEAST_BYTES = 7 * PIECE_BYTES  # under way: what a kill may cost, when the server is near
_BYTES_A_SECOND = 125_000_000  # the fastest line to a far server that is kept busy
FOLDER_MODE, FILE_MODE = 0o770, 0o660


class _Reporting(Known):
    """Tells the engine."""

    def __init__(
        self, files: Sequence[Outgoing], digests: Mapping[int, list[bytes]], progress: Progress
    ) -> None:
        super().__init__()
        self._files, self._digests, self._progress = files, digests, progress

    def moved(self, number: int, size_bytes: int) -> None:
        self._progress.moved(self._files[number].path, size_bytes)

    def mark(self, number: int, durable_bytes: int) -> None:
        super().mark(number, durable_bytes)
        self._progress.reached(self._files[number].path, durable_bytes)

    def confirm(self, number: int) -> None:
        super().confirm(number)
        self._progress.done(self._files[number].path, self._digests[number][0].hex())


class BagUpload(Upload):
    """`grouped`: the inbox gives what is in it its own group, so that the service can read by it."""

    strict = False  # a server that lets nobody set modes or times takes the files all the same
    compares = True
    mark_bytes = MARK_BYTES
    piece_bytes = PIECE_BYTES
    patience_seconds = 5.0

    def __init__(
        self,
        account: Account,
        folder: str,
        files: Sequence[Outgoing],
        reached: Mapping[str, int],
        progress: Progress,
        pace: Pace,
        *,
        grouped: bool,
    ) -> None:
        super().__init__(account, folder, Attributes(mode=FILE_MODE if grouped else None), pace, ("sha256",))
        self._files, self._progress = files, progress
        self._folder_mode = FOLDER_MODE if grouped else None
        self.known = _Reporting(files, self.digests, progress)
        self._reached = {number: reached.get(file.path, 0) for number, file in enumerate(files)}
        self._left: set[int] = set()
        self._round_trip_seconds = 0.0

    # What is sent

    def files(self) -> Iterator[File]:
        for number, file in enumerate(self._files):
            if number not in self._left:
                yield File(number, remote.join(self.folder, file.path), file.size_bytes, file.mtime_ns)

    def is_wide(self) -> bool:
        return is_wide(self._files)

    def check(self) -> None:
        self._progress.check()

    def most_bytes(self) -> int:
        # Enough to keep a far server busy, and no more: what is under way when this PC fails has to be sent again.
        return min(MOST_BYTES, LEAST_BYTES + int(self._round_trip_seconds * _BYTES_A_SECOND))

    def gone(self) -> Exception:
        return BagGone(
            f"The unfinished upload {escape(self.folder)} at {escape(self.account.server)} was removed there",
            where="Your files are untouched; what was sent of them is gone",
            next_step="They are sent again. If this repeats, tell the person who runs the server",
        )

    # At the server

    async def prepare(self, connection: Connection, *, again: bool) -> Mapping[int, int]:  # noqa: ARG002
        self._leave_long_names()
        seen, space, readable, were_there = await asyncio.gather(
            remote.look_one(connection, self.folder),
            remote.space(connection, self.folder),
            remote.may_read(connection),
            self._make_folders(connection),
        )
        if seen is None:
            raise self.gone()
        self.in_order = not readable
        self._round_trip_seconds = connection.round_trip_seconds
        sizes = await self._sizes(connection, were_there)
        self._require_space(space, sizes)
        return await self._kept(connection, sizes)

    def _require_space(self, space: remote.Space | None, sizes: Mapping[str, int]) -> None:
        wanted = sum(max(0, file.size_bytes - sizes.get(file.path, 0)) for file in self.files())
        if space and space.total_bytes and space.free_bytes < wanted:
            raise faults.full(
                f"{wanted:,} bytes are to be sent, and {escape(self.account.server)} has {space.free_bytes:,} free"
            )

    def _pending(self) -> Iterator[tuple[int, Outgoing]]:
        for number, file in enumerate(self._files):
            if number not in self._left and number not in self.known.confirmed:
                yield number, file

    def _leave_long_names(self) -> None:
        for number, file in list(self._pending()):
            try:
                longest = max(len(part.encode()) for part in file.path.split("/"))
            except UnicodeEncodeError:
                self._leave(number, "its name has characters that no server can store: rename it")
                continue
            if longest > LONGEST_NAME_BYTES:
                self._leave(
                    number, f"a name in its path is longer than {LONGEST_NAME_BYTES} bytes: shorten it"
                )

    async def _make_folders(self, connection: Connection) -> list[str]:
        """Make all folders; returns those that were there, which may hold files."""
        wanted: dict[str, None] = {}
        for _, file in self._pending():
            parts = file.path.split("/")[:-1]
            wanted.update(dict.fromkeys("/".join(parts[:count]) for count in range(1, len(parts) + 1)))
        paths = [remote.join(self.folder, path) for path in sorted(wanted)]
        try:
            made = await remote.make_folders(connection, paths, self._folder_mode)
        except Said as said:
            if await remote.look_one(connection, self.folder) is None:
                raise self.gone() from said
            raise
        return [path for path, new in zip(paths, made, strict=True) if not new]

    async def _sizes(self, connection: Connection, folders: Sequence[str]) -> dict[str, int]:
        """The files that are there, by path at the server."""
        may_open = asyncio.Semaphore(remote.OPEN_AT_ONCE)

        async def of(folder: str) -> dict[str, int]:
            async with may_open:
                found = await remote.listing(connection, folder) or {}
            return {remote.join(folder, name): seen.size or 0 for name, seen in found.items() if seen.is_file}

        return {path: size for some in await asyncio.gather(*map(of, folders)) for path, size in some.items()}

    async def _kept(self, connection: Connection, sizes: Mapping[str, int]) -> dict[int, int]:
        """Which files were begun, and how far they are. What is too large is removed. A durable part is trusted but for
        its last piece, which is compared, and so is all that was sent later."""
        parts, too_large = {}, []
        for file in self.files():
            there = sizes.get(file.path)
            durable = max(self._reached[file.number], self.known.marks.pop(file.number, 0))
            if there is None or file.number in self.known.confirmed:
                continue
            if there > file.size_bytes:
                too_large.append(file.path)
                continue
            parts[file.number] = there
            if file.size_bytes > SMALL_BYTES and self.piece_bytes < durable <= there:
                self.known.marks[file.number] = durable - self.piece_bytes
                self.durable[file.number] = durable
        await remote.remove_files(connection, too_large)
        return parts

    # Reading

    def open(self, number: int) -> int:
        return opened(self._files[number])

    def was_read(self, number: int, fd: int) -> None:
        require_same(self._files[number], fd)

    def unreadable(self, number: int, error: OSError) -> Exception:  # noqa: ARG002
        return unreadable(error)

    def miscounted(self, number: int, count: int) -> Exception:  # noqa: ARG002
        return Unsendable(CHANGED)

    # Sending

    def run(self) -> None:
        try:
            super().run()
        except StorageFault:
            self._remove_damaged()
            raise

    def _remove_damaged(self) -> None:
        """What a failed sync leaves looks whole and may be lost: it is sent anew."""
        runtime.run(
            lambda connection: remote.remove_files(connection, list(self.known.damaged)), self.account
        )
        for file in self._files:
            if remote.join(self.folder, file.path) in self.known.damaged:
                self._progress.reached(file.path, 0)

    def send(self, now: Round, file: File) -> None:
        try:
            super().send(now, file)
        except (Unsendable, Refused) as error:
            reason = _UNSTORABLE if isinstance(error, Refused) else str(error)
            # Its folder's other files go on; this one's beginning is removed when nothing of it is under way.
            now.feed.finish()
            now.own.run(self._remove(now.sending.connection, file))
            self._leave(file.number, reason)

    async def send_small(self, sending: Sending, file: File, data: bytes, sha256: bytes) -> None:
        try:
            await super().send_small(sending, file, data, sha256)
        except Refused:
            await self._remove(sending.connection, file)
            self._leave(file.number, _UNSTORABLE)

    async def _remove(self, connection: Connection, file: File) -> None:
        try:
            await remote.remove_files(connection, [file.path])
        except Said as said:
            if await remote.look_one(connection, file.path) is not None:
                raise faults.typed(self.account.server, said, f"Removing {escape(file.path)}") from said

    def _leave(self, number: int, reason: str) -> None:
        self._left.add(number)
        self._progress.left(self._files[number].path, reason)


def is_wide(files: Sequence[Outgoing]) -> bool:
    """Whether more than one channel pays off."""
    return len(files) > WIDE_FILES or any(one.size_bytes > SMALL_BYTES for one in files)


_UNSTORABLE = "the server cannot store a file of this name: rename it"
