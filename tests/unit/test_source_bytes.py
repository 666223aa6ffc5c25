"""What was read before staging is compared with what was staged, read by read."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from dropslot.contents.base import Source, Staged
from dropslot.contents.source_bytes import SourceBytes
from dropslot.core.errors import SourceChanged
from dropslot.files.walk import list_arrival

LONG = bytes(range(256)) * 1024


@pytest.fixture
def source(tmp_path: Path) -> SourceBytes:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/long").write_bytes(LONG)
    (tmp_path / "other").write_bytes(b"other")
    return SourceBytes(Source(tmp_path, list_arrival(tmp_path)))


def prove(source: SourceBytes, staged: bytes, path: str = "sub/long") -> None:
    def open_staged(item: Staged) -> BinaryIO:
        assert item.path == path, "only what was read is opened"
        return io.BytesIO(staged)

    names = ("other", "sub/long")
    source.prove([Staged(name, 0, 0, "") for name in names], open_staged)


def test_only_the_parts_that_were_read_must_be_the_same(source: SourceBytes) -> None:
    with source, source.open("sub/long") as stream:
        assert stream.read(10) == LONG[:10]
    prove(source, LONG)
    prove(source, LONG[:-1] + b"!")
    with pytest.raises(SourceChanged, match="sub/long changed"):
        prove(source, b"!" + LONG[1:])


def test_reads_here_and_there_are_compared_where_they_were(source: SourceBytes) -> None:
    with source, source.open("sub/long") as stream:
        stream.seek(-3, os.SEEK_END)
        assert stream.read() == LONG[-3:]
        stream.seek(100_000)
        stream.seek(7, os.SEEK_CUR)
        assert stream.read(2) == LONG[100_007:100_009]
        assert stream.tell() == 100_009
    prove(source, LONG)
    for changed in (100_008, len(LONG) - 1):
        with pytest.raises(SourceChanged):
            prove(source, LONG[:changed] + b"\xaa\xab" + LONG[changed + 2 :])


def test_an_end_that_was_seen_must_be_the_end(source: SourceBytes) -> None:
    with source, source.open("sub/long") as stream:
        assert stream.read() == LONG
    prove(source, LONG)
    with pytest.raises(SourceChanged):
        prove(source, LONG + b"more")
    with pytest.raises(SourceChanged):
        prove(source, LONG[:-1])


def test_what_is_left_open_is_closed(source: SourceBytes) -> None:
    with source:
        stream = source.open("other")
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def test_a_link_in_the_place_of_an_item_is_not_followed(source: SourceBytes, tmp_path: Path) -> None:
    (tmp_path / "other").unlink()
    (tmp_path / "other").symlink_to("/etc/passwd")
    with source, pytest.raises(SourceChanged):
        source.open("other")
