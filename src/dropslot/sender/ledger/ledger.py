"""What is known of the files of this PC. All calls may come from several threads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dropslot.sender.file_states import CLOSED, UPLOADED, UPLOADING
from dropslot.sender.ledger.known_contents import Known, Packed, pack
from dropslot.sender.ledger.ledger_tables import SUBFOLDER
from dropslot.sender.ledger.open_ledger import in_words, opened


class Refusal(NamedTuple):
    """A file that the server refused: for itself (`is_at_fault`), or with the arrival of `bag`."""

    source: str
    path: str
    size_bytes: int
    mtime_ns: int
    bag: int
    is_at_fault: bool
    reason: str
    subfolder: str


class Content(NamedTuple):
    """A file whose content was sent from `source`; `file` is its row, `inode` and time are those it had then."""

    source: str
    subfolder: str
    file: int
    inode: str
    mtime_ns: int


class Ledger:
    """The ledger at a path. Raises LedgerDamaged, LedgerUnready and LedgerNewer, here and in every call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = opened(path)
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, in_words(self.path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which no other process interrupts."""
        with self._lock, in_words(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def target(self, inbox: str, study: str) -> int:
        """The number of a study at an inbox."""
        with self.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO target (inbox, study) VALUES (?, ?)", (inbox, study))
            query = "SELECT id FROM target WHERE inbox = ? AND study = ?"
            found: int = connection.execute(query, (inbox, study)).fetchone()[0]
            return found

    def known(self, target: int, others: Iterable[tuple[str, str]] = ()) -> Known:
        """Size and time of each path when it was last sent, or seen to hold what was sent; not of `others` (path,
        subfolder)."""
        query = (
            "SELECT folder, subfolder, names, sizes, times FROM packed JOIN target ON target.id = target"
            " WHERE target.id = ? AND packed_at = changes"
        )
        folders: dict[str, list[tuple[str, Packed]]] = {}
        for folder, subfolder, *packed in self.rows(query, target) or self._packed(target):
            folders.setdefault(folder, []).append((subfolder, Packed(*packed)))
        return Known(folders, others)

    def _packed(self, target: int) -> list[tuple[Any, ...]]:
        """Pack anew what changed."""
        with self.writing() as connection:
            query = "SELECT source, subfolder, size_bytes, mtime_ns FROM known WHERE target = ?"
            found = pack(connection.execute(query, (target,)))
            rows = [(folder, subfolder, *packed) for folder, subfolder, packed in found]
            connection.execute("DELETE FROM packed WHERE target = ?", (target,))
            connection.executemany(
                "INSERT INTO packed (target, folder, subfolder, names, sizes, times) VALUES (?, ?, ?, ?, ?, ?)",
                ((target, *row) for row in rows),
            )
            connection.execute("UPDATE target SET packed_at = changes WHERE id = ?", (target,))
        return rows

    def newest(self) -> int:
        """The number of the newest row of a file: what has a higher one was sent later."""
        found: int = self.rows("SELECT coalesce(max(id), 0) FROM file")[0][0]
        return found

    def sizes(self, target: int) -> frozenset[int]:
        """The sizes of all contents that were sent."""
        rows = self.rows("SELECT DISTINCT size_bytes FROM file WHERE target = ? AND sha256 <> ''", target)
        return frozenset(size for (size,) in rows)

    def was_sent(
        self, target: int, source: str, sha256: str, but_not: frozenset[str] = frozenset()
    ) -> int | None:
        """The row of a file if this path was sent with this content, even if other content followed; but not to these
        subfolders."""
        query = f"SELECT id, {SUBFOLDER} FROM file WHERE target = ? AND sha256 = ? AND source = ? ORDER BY id DESC"
        rows = self.rows(query, target, sha256, source)
        return next((row for row, subfolder in rows if subfolder not in but_not), None)

    def holders(self, target: int, sha256: str) -> list[Content]:
        """The paths that held this content when they were last looked at, unless the server refused it there."""
        query = (
            "SELECT known.source, known.subfolder, known.file, inode, known.mtime_ns"
            " FROM file JOIN known ON known.file = file.id"
            " WHERE file.target = ? AND file.sha256 = ? AND file.state <> 'refused'"
        )
        return [Content(*row) for row in self.rows(query, target, sha256)]

    def refusals(self, target: int) -> list[Refusal]:
        """The files whose last word was a refusal."""
        query = (
            "SELECT known.source, path, known.size_bytes, known.mtime_ns, bag, is_at_fault, reason, known.subfolder"
            " FROM file JOIN known ON known.file = file.id"
            " WHERE file.target = ? AND file.state = 'refused' ORDER BY file.id"
        )
        return [Refusal._make(row) for row in self.rows(query, target)]

    def waiting(self, target: int) -> int:
        """How many files have no receipt yet."""
        query = (
            "SELECT count(*) FROM file JOIN bag ON bag.id = file.bag"
            " WHERE file.target = ? AND file.state IN (?, ?) AND bag.state <> ?"
        )
        found: int = self.rows(query, target, UPLOADING, UPLOADED, CLOSED)[0][0]
        return found

    def learn(
        self,
        target: int,
        seen: Iterable[tuple[str, str, int, int, int]],
        gone: Iterable[tuple[str, str]] = (),
    ) -> None:
        """These paths (source, subfolder, size, time, row of the file) hold what was sent before; paths that are `gone`
        (source, subfolder) were renamed."""
        with self.writing() as connection:
            connection.executemany(
                "DELETE FROM known WHERE target = ? AND source = ? AND subfolder = ?",
                ((target, *each) for each in gone),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO known (target, source, subfolder, size_bytes, mtime_ns, file)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                ((target, *each) for each in seen),
            )

    def fixed(
        self, target: int, refusals: Iterable[Refusal], seen: Mapping[str, tuple[int, int]]
    ) -> frozenset[int]:
        """The bags of which a file that was at fault changed, went away, or is not sent any more; also if it was sent
        meanwhile, corrected and without the others."""
        query = "SELECT bag, source FROM file WHERE target = ? AND state = 'refused' AND is_at_fault"
        standing = {
            (each.bag, each.source)
            for each in refusals
            if each.is_at_fault and seen.get(each.source) == (each.size_bytes, each.mtime_ns)
        }
        return frozenset(bag for bag, source in self.rows(query, target) if (bag, source) not in standing)
