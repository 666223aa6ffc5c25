"""The bags of the ledger: begun, on their way, uploaded, with a receipt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from dropslot.sender.connecting import Access
from dropslot.sender.file_states import CANCELLED, CLOSED, LOST, REFUSED, SEALING, UPLOADED, UPLOADING, now
from dropslot.sender.ledger.journal import Noted
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.ledger_tables import KNOW_BAG
from dropslot.sender.local_paths import inode
from dropslot.sender.plan import NewFile


@dataclass(frozen=True, slots=True)
class Bag:
    """A bag that was begun. `inbox` is the address without an account; `access` is how it was reached."""

    id: int
    name: str
    target: int
    inbox: str
    study: str
    location: str
    begun_at: str
    access: Access
    state: str


class BagFile(NamedTuple):
    """A file of a bag, as it was planned; `reached` bytes of it are durable at the server."""

    id: int
    source: str
    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    reached: int
    state: str


class Bags:
    """Reads and writes the bags of a ledger; each call is one transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def begin(
        self,
        name: str,
        target: int,
        access: Access,
        location: str,
        files: Sequence[NewFile],
        planned: int | None,
    ) -> Bag | None:
        """Record the bag with its files. `planned` is the newest row at the time of the plan: what another sender of
        this PC sent since then is left out; None: nothing is. Returns None if nothing remains to be sent."""
        time = now()
        inodes = {
            each.source: inode(each.source) for each in files
        }  # a slow disk keeps no other sender waiting
        with self.ledger.writing() as connection:
            wanted = files if planned is None else _unsent(connection, target, files, planned)
            if not wanted:
                return None
            values = (name, target, json.dumps(asdict(access)), location, time, UPLOADING)
            bag = connection.execute(
                "INSERT INTO bag (name, target, access, location, begun_at, state) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            connection.executemany(
                "INSERT INTO file (bag, target, source, path, size_bytes, mtime_ns, inode, state, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((bag, target, *each, inodes[each.source], UPLOADING, time) for each in wanted),
            )
            connection.execute(KNOW_BAG, (bag,))
        return next(each for each in self.of_state(UPLOADING) if each.id == bag)

    def of_state(self, *states: str, target: int | None = None) -> list[Bag]:
        """The bags in these states, the oldest first."""
        marks = ", ".join("?" * len(states))
        query = (
            "SELECT bag.id, name, target, inbox, study, location, begun_at, access, state FROM bag"
            f" JOIN target ON target.id = target WHERE state IN ({marks})"
        )
        rows = self.ledger.rows(f"{query} ORDER BY bag.id", *states)
        bags = (_bag(row) for row in rows)
        return [bag for bag in bags if target in (None, bag.target)]

    def waited_for(self) -> list[Bag]:
        """The bags whose receipt is not the last word: none yet, or a refusal of files that were not sent since."""
        query = "SELECT DISTINCT bag FROM file JOIN known ON known.file = file.id WHERE file.state = ?"
        refused = {number for (number,) in self.ledger.rows(query, REFUSED)}
        return [bag for bag in self.of_state(UPLOADED, REFUSED) if bag.state == UPLOADED or bag.id in refused]

    def files(self, bag: Bag) -> list[BagFile]:
        """The files of a bag."""
        columns = ", ".join(BagFile._fields)
        return [
            BagFile(*row)
            for row in self.ledger.rows(f"SELECT {columns} FROM file WHERE bag = ? ORDER BY id", bag.id)
        ]

    def record(
        self, bag: Bag, reached: Mapping[str, int], done: Mapping[str, str], left: Iterable[str]
    ) -> None:
        """What happened to files of a bag: bytes that are durable, digests of whole files, and those that are left for
        next time, which are new again."""
        with self.ledger.writing() as connection:
            connection.executemany(
                "UPDATE file SET reached = ? WHERE bag = ? AND path = ?",
                ((size, bag.id, path) for path, size in reached.items()),
            )
            connection.executemany(
                "UPDATE file SET sha256 = ? WHERE bag = ? AND path = ?",
                ((digest, bag.id, path) for path, digest in done.items()),
            )
            for path in left:
                where = "SELECT id FROM file WHERE bag = ? AND path = ?"
                connection.execute(f"DELETE FROM known WHERE file IN ({where})", (bag.id, path))
                connection.execute("DELETE FROM file WHERE bag = ? AND path = ?", (bag.id, path))

    def seal(self, bag: Bag) -> Bag:
        """The bag is about to get its final name. Durable before that: after a crash the next send knows that it may
        have it, or may be taken already."""
        self.ledger.rows("PRAGMA synchronous = FULL")
        with self.ledger.writing() as connection:
            connection.execute("UPDATE bag SET state = ? WHERE id = ?", (SEALING, bag.id))
        self.ledger.rows("PRAGMA synchronous = NORMAL")
        return replace(bag, state=SEALING)

    def reopen(self, bag: Bag, paths: Sequence[str]) -> Bag:
        """These files are not at the server any more (none named: all): they are to be sent again."""
        with self.ledger.writing() as connection:
            connection.execute("UPDATE bag SET state = ? WHERE id = ?", (UPLOADING, bag.id))
            lost = "UPDATE file SET sha256 = '', reached = 0 WHERE bag = ?"
            if paths:
                connection.executemany(f"{lost} AND path = ?", ((bag.id, path) for path in paths))
            else:
                connection.execute(lost, (bag.id,))
        return replace(bag, state=UPLOADING)

    def finish(self, bag: Bag, doubt: str = "") -> None:
        """The bag is whole in the inbox. `doubt`: why it may not be, which `sent` shows until there is a receipt."""
        with self.ledger.writing() as connection:
            connection.execute("UPDATE bag SET state = ? WHERE id = ?", (UPLOADED, bag.id))
            connection.execute(
                "UPDATE file SET state = ?, at = ?, reason = ? WHERE bag = ?",
                (UPLOADED, now(), doubt, bag.id),
            )

    def abandon(self, bag: Bag) -> None:
        """The bag is never continued. Its files are as new as before; what the server has of it is to be removed."""
        with self.ledger.writing() as connection:
            connection.execute("UPDATE bag SET state = ? WHERE id = ?", (CANCELLED, bag.id))
            _forget_files(connection, bag)

    def forget(self, bag: Bag) -> None:
        """The bag is not sent: its files are as new as before."""
        with self.ledger.writing() as connection:
            _forget_files(connection, bag)
            connection.execute("DELETE FROM bag WHERE id = ?", (bag.id,))

    def forget_files(self, bag: Bag) -> None:
        """The files of the bag are as new as before."""
        with self.ledger.writing() as connection:
            _forget_files(connection, bag)

    def lose(self, noted: Noted) -> None:
        """A bag of a ledger that was lost: its receipt says what was in it."""
        target = self.ledger.target(noted.inbox, noted.study)
        values = (noted.bag, target, json.dumps(dict(noted.access)), noted.location, noted.begun_at, LOST)
        with self.ledger.writing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO bag (name, target, access, location, begun_at, state) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )

    def recover(self, bag: Bag, files: Iterable[tuple[str, str, int, str]]) -> None:
        """The files of a lost bag (source, path, size, digest), as its receipt has them. Their times are unknown, so
        each is compared by its content once."""
        with self.ledger.writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO file (bag, target, source, path, size_bytes, mtime_ns, sha256, state, at)"
                " VALUES (?, ?, ?, ?, ?, -1, ?, ?, ?)",
                ((bag.id, bag.target, *each, UPLOADED, now()) for each in files),
            )
            connection.execute(KNOW_BAG, (bag.id,))

    def settle(self, bag: Bag, arrival: str, at: str, outcomes: Mapping[str, tuple[str, str, bool]]) -> None:
        """What a receipt says: the state, reason and fault of each path. A bag with refused files stays open: the
        server may run it again."""
        refused = any(state == REFUSED for state, _, _ in outcomes.values())
        with self.ledger.writing() as connection:
            connection.execute(
                "UPDATE bag SET state = ?, arrival = ? WHERE id = ?",
                (REFUSED if refused else CLOSED, arrival, bag.id),
            )
            connection.executemany(
                "UPDATE file SET state = ?, reason = ?, is_at_fault = ?, at = ? WHERE bag = ? AND path = ?",
                ((*outcome, at, bag.id, path) for path, outcome in outcomes.items()),
            )


def _forget_files(connection: sqlite3.Connection, bag: Bag) -> None:
    files = "SELECT id FROM file WHERE bag = ?"
    connection.execute(f"DELETE FROM known WHERE file IN ({files})", (bag.id,))
    connection.execute("DELETE FROM file WHERE bag = ?", (bag.id,))


def _bag(row: tuple[Any, ...]) -> Bag:
    number, name, target, inbox, study, location, begun_at, access, state = row
    return Bag(number, name, target, inbox, study, location, begun_at, Access(**json.loads(access)), state)


def _unsent(
    connection: sqlite3.Connection, target: int, files: Sequence[NewFile], planned: int
) -> list[NewFile]:
    query = "SELECT source, size_bytes, mtime_ns FROM known WHERE target = ? AND file > ?"
    later: set[tuple[Any, ...]] = set(connection.execute(query, (target, planned)).fetchall())
    return [each for each in files if (each.source, each.size_bytes, each.mtime_ns) not in later]
