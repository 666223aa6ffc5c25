"""What people see: lines that fit the terminal, a pager for what does not, the newest last."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from product import Product

COLUMNS, ROWS = 80, 24
NAMES = [f"heart-pc17-visit{number:02}" for number in range(1, 31)]


@pytest.fixture
def filled(sqlite_product: Product) -> Product:
    for name in NAMES:
        sqlite_product.drop(name, {f"the protocol of {name} with a long name.txt": b"1"})
    sqlite_product.drain()
    return sqlite_product


@pytest.fixture
def pager(tmp_path: Path) -> Iterator[Path]:
    """A pager that says that it was called, and shows what it was given."""
    script = tmp_path / "pager"
    script.write_text("#!/bin/sh\necho PAGED\ncat\n")
    script.chmod(0o755)
    yield script


def on_terminal(product: Product, *args: str, **environment: str) -> list[str]:
    """The lines that a command prints to a terminal of 80 columns and 24 rows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    inherited = {key: value for key, value in product.environment.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        product.command(*args),
        env=inherited | {"TERM": "dumb", "PAGER": "cat"} | environment,
        cwd=product.root,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    written = b"".join(_read(ours))
    os.close(ours)
    assert process.wait(60) == 0
    return written.decode().splitlines()


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # EIO: the other end is closed
            return
        if not data:
            return
        yield data


LISTINGS = [("arrivals",), ("history",), ("uploads",), ("latest", "study"), ("events",)]


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda words: words[0])
def test_listings_fit_80_columns_but_for_paths(filled: Product, listing: tuple[str, ...]) -> None:
    lines = on_terminal(filled, *listing)
    assert len(lines) > len(NAMES)
    assert [line for line in lines if len(line) > COLUMNS and not line.startswith("    /")] == []


def test_a_report_fits_80_columns_with_its_times_below(filled: Product) -> None:
    lines = on_terminal(filled, "report")
    assert max(map(len, lines)) <= COLUMNS
    assert any(line.startswith("    to delivery: median ") for line in lines)


def test_a_pager_gets_what_does_not_fit_a_terminal(filled: Product, pager: Path) -> None:
    page: dict[str, Any] = {"PAGER": str(pager)}
    assert on_terminal(filled, "arrivals", **page)[0] == "PAGED"
    assert on_terminal(filled, "arrivals", "--limit", "3", **page)[0] != "PAGED"
    assert on_terminal(filled, "arrivals", "--no-pager", **page)[0] != "PAGED"
    assert on_terminal(filled, "arrivals", "--json", **page)[0] != "PAGED"
    assert "PAGED" not in filled.run("arrivals", **page).stdout
    assert len(on_terminal(filled, "arrivals", PAGER="/nowhere/pager")) == len(NAMES) + 1


def test_the_newest_are_last_and_limit_keeps_them(filled: Product) -> None:
    for listing, name in (("arrivals", "name"), ("history", "name"), ("uploads", "name")):
        assert [row[name] for row in filled.listing(listing)] == NAMES
        assert [row[name] for row in filled.listing(listing, "--limit", "2")] == NAMES[-2:]
        lines = filled.run(listing, "--limit", "2").stdout.splitlines()
        assert len(lines) == 3 and NAMES[-1] in lines[-1] and NAMES[-2] in lines[-2]
    seqs = [row["seq"] for row in filled.listing("events")]
    assert [row["seq"] for row in filled.listing("events", "-n", "4")] == seqs[-4:]
    assert filled.run("arrivals", "--limit", "0", status=2).stdout == ""


def test_wide_has_every_key_of_the_json(filled: Product) -> None:
    for listing in ("arrivals", "history", "uploads"):
        (row,) = filled.listing(listing, "--limit", "1")
        header = filled.run(listing, "--wide", "--limit", "1").stdout.splitlines()[0]
        missing = [key for key, value in row.items() if value not in (None, [], {}, "")]
        assert [key for key in missing if key.replace("_", " ") not in header] == []


def test_pending_shows_the_id_that_retry_takes_and_the_newest_last(filled: Product) -> None:
    filled.configure({"study": {"folders": "./study", "takes": "any", "deliver": [{"to": "./away"}]}})
    for name in ("one", "two", "three"):
        filled.drop(name, b"1")
    (filled.root / "away").mkdir()
    filled.drain(status=None)
    (filled.root / "study/inbox/empty").mkdir()
    rows = filled.listing("pending")
    table = filled.run("pending").stdout
    assert all(row["id"] in table for row in rows if row["id"])
    assert filled.run("pending", "--limit", "1").stdout.count("\n") == 2
