"""An object store as a kind of destination: flat keys, put only where there is none, no folders, modes or renames.

It is one SQLite file, so that several processes may use it and a kill leaves it sound. Tests put this file among the
plugins of an installation: nothing here but what a plugin may use.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from deadly import deadly
from dropslot.config import Deliver
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.base import Found, Kind, Target, options_of
from dropslot.destinations.whole_items import Spooled


class Store:
    """Keys and what they hold. While `FILE.away` is there, it answers nothing; `FILE.deadly` is as in `deadly`."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def _open(self) -> closing[sqlite3.Connection]:
        if os.path.exists(f"{self.file}.away"):
            raise DestinationUnready("The bucket does not answer", next_step="It is retried")
        connection = sqlite3.connect(self.file, timeout=30, isolation_level=None)
        connection.execute("CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB, at INTEGER)")
        return closing(connection)

    def put_new(self, key: str, data: bytes) -> bool:
        """`PUT` with `If-None-Match: *`; False is the answer 412."""
        with deadly(Path(f"{self.file}.deadly")), self._open() as connection:
            put = "INSERT INTO objects VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            return connection.execute(put, (key, data, time.time_ns())).rowcount == 1

    def get(self, key: str) -> bytes | None:
        with self._open() as connection:
            row = connection.execute("SELECT data FROM objects WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def keys(self, prefix: str) -> list[tuple[str, int, int]]:
        """Key, size and time of each that begins so."""
        with self._open() as connection:
            wanted = "SELECT key, length(data), at FROM objects WHERE substr(key, 1, ?) = ? ORDER BY key"
            return connection.execute(wanted, (len(prefix), prefix)).fetchall()

    def put(self, key: str, data: bytes) -> None:
        """What somebody else does there."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (key, data, time.time_ns()))


class Bucket(Spooled):
    """`bucket://NAME/PREFIX`."""

    def __init__(self, store: Store, spool: Path | None = None) -> None:
        super().__init__(spool)
        self.store = store

    def check(self, target: Target) -> None:
        self.store.get("")

    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:
        whole = data.read()
        assert hashlib.sha256(whole).hexdigest() == sha256
        return self.store.put_new(_key(target, name), whole)

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        data = self.store.get(_key(target, name))
        if data is None:
            raise FileNotFoundError(name)
        return iter([data])

    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        begin = _key(target, f"{folder}/" if folder else "")
        found: dict[str, Found] = {}
        for key, size, at in self.store.keys(begin):
            name, slash, _ = key[len(begin) :].partition("/")
            found[name] = Found(True, False, 0, 0) if slash else Found(False, True, size, at)
        return found


def _key(target: Target, name: str) -> str:
    prefix = target.url.partition("://")[2].partition("/")[2]
    return f"{prefix}/{name}" if prefix else name


class Options(BaseModel):
    """`options: {store: FILE}`."""

    model_config = ConfigDict(extra="forbid")

    store: str = Field(description="The file that is the bucket.")


class BucketKind(Kind):
    """`bucket://NAME/PREFIX`."""

    options = Options

    def __init__(self) -> None:
        self._made: dict[str, Bucket] = {}

    def for_rule(self, rule: Deliver) -> Bucket:
        file = options_of(rule, Options).store
        if file not in self._made:
            self._made[file] = Bucket(Store(Path(file)))
        return self._made[file]
