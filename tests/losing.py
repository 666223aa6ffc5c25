"""A product whose database is lost, or put back from an older copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from postgres import PostgresServer
from product import Product


@dataclass
class Losing:
    """A product whose database can be lost, saved, and put back as it was."""

    product: Product
    server: PostgresServer | None = None
    name: str = ""
    saved: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.product.root / "var/dropslot.sqlite3"

    def lose(self, *, has_tables: bool = True) -> None:
        """The database is new. With its tables it is as the next command makes it, which takes that half a second."""
        if self.server:
            self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
            self.server.copy_database("migrated" if has_tables else "template1", self.name)
        for path in self.file.parent.glob("dropslot.sqlite3*"):
            path.unlink()
        if has_tables and not self.server and self.product.template:
            self.file.touch(0o600)
            shutil.copyfile(self.product.template, self.file)

    def save(self) -> None:
        if self.server:
            self.server.execute(f"CREATE DATABASE {self.name}_saved TEMPLATE {self.name}")
        else:
            shutil.copy(self.file, self.product.root / "saved.sqlite3")

    def put_back(self) -> None:
        self.lose(has_tables=False)
        if self.server:
            self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
            self.server.execute(f"ALTER DATABASE {self.name}_saved RENAME TO {self.name}")
        else:
            shutil.copy(self.product.root / "saved.sqlite3", self.file)

    def deliver(self, name: str, content: Mapping[str, bytes], status: int = 0) -> list[tuple[str, int, str]]:
        """Drop and drain; (stored name, version, outcome) of each item, if it was delivered."""
        self.product.drop(name, content)
        self.product.drain(status=status)
        rows = [row for row in self.product.history() if row["name"] == name]
        return [(row["stored_as"], row["version"], row["outcome"]) for row in rows]

    def ledger(self) -> set[tuple[Any, ...]]:
        keys = (
            "arrival",
            "name",
            "sender",
            "item",
            "stored_as",
            "version",
            "outcome",
            "superseded",
            "sha256",
            "size_bytes",
            "destination",
            "route",
            "delivered_at",
            "archived_as",
            "location",
        )
        return {tuple(row[key] for key in keys) for row in self.product.history()}


@pytest.fixture
def losing(product: Product, request: pytest.FixtureRequest) -> Iterator[Losing]:
    url = urlsplit(product.database)
    if url.scheme != "postgresql":
        yield Losing(product)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = url.path.lstrip("/")
    yield Losing(product, server, name)
    server.execute(f"DROP DATABASE IF EXISTS {name}_saved WITH (FORCE)")
