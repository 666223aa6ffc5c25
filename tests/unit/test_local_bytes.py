"""Items opened for checks: the bytes that have the SHA-256 that was staged, or the attempt is void."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from dropslot.contents.base import Source, Staged
from dropslot.contents.local_bytes import LocalBytes
from dropslot.core.errors import SourceChanged
from dropslot.files.walk import list_arrival

DATA = os.urandom(1 << 20) * 3 + b"end"


@pytest.fixture
def arrival(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/x.raw").write_bytes(DATA)
    return folder


def staged(data: bytes = DATA) -> Staged:
    return Staged("sub/x.raw", len(data), 0, hashlib.sha256(data).hexdigest())


def nowhere(_path: str) -> BinaryIO | None:
    return None


def local(arrival: Path, here: Callable[[str], BinaryIO | None] = nowhere) -> LocalBytes:
    return LocalBytes(Source(arrival, list_arrival(arrival)), here, arrival.parent)


def test_the_source_is_read_as_it_was_staged(arrival: Path) -> None:
    with local(arrival) as opened, opened.open(staged()) as file:
        assert file.read() == DATA


def test_what_is_staged_on_this_machine_is_read_there(arrival: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"staged")
    with (
        local(arrival, lambda _: (tmp_path / "there").open("rb")) as opened,
        opened.open(staged(b"staged")) as file,
    ):
        assert file.read() == b"staged"


@pytest.mark.parametrize("size", [0, 5, len(DATA)])
def test_a_file_that_is_not_what_was_staged_voids_what_was_read_of_it(arrival: Path, size: int) -> None:
    with (
        pytest.raises(SourceChanged, match=r"sub/x\.raw changed since it was staged"),
        local(arrival) as opened,
        opened.open(staged(DATA[:-1] + b"x")) as file,
    ):
        file.read(size)


def test_a_file_that_grew_is_noticed_though_its_beginning_is_the_same(arrival: Path) -> None:
    with pytest.raises(SourceChanged), local(arrival) as opened, opened.open(staged(DATA[:-1])) as file:
        file.read(9)


def test_a_file_that_nobody_closes_is_proved_all_the_same(arrival: Path) -> None:
    with pytest.raises(SourceChanged), local(arrival) as opened:
        kept = opened.open(staged(b"other"))
        kept.read(3)
    with pytest.raises(SourceChanged), local(arrival) as opened:
        opened.open(staged(b"other")).read(3)


def test_a_file_may_be_read_in_any_order_and_more_than_once(arrival: Path) -> None:
    with local(arrival) as opened, opened.open(staged()) as file:
        assert file.seek(-3, os.SEEK_END) == len(DATA) - 3
        assert file.read() == b"end"
        file.seek(0)
        assert file.read() == DATA
        file.seek(1 << 20)
        assert file.read(7) == DATA[:7]
        file.seek(len(DATA) + 5)
        assert file.read(1) == b""


def test_what_is_read_again_is_what_was_read_before(arrival: Path) -> None:
    """Nor does it help that the source is as it was in the end."""
    with pytest.raises(SourceChanged), local(arrival) as opened, opened.open(staged()) as file:
        file.read(1 << 20)
        with (arrival / "sub/x.raw").open("r+b") as written:
            written.write(b"another beginning")
        file.seek(0)
        with pytest.raises(SourceChanged):
            file.read(5)
        (arrival / "sub/x.raw").write_bytes(DATA)


def test_what_was_read_again_stays_the_same_while_the_source_changes(arrival: Path) -> None:
    with local(arrival) as opened, opened.open(staged()) as file:
        file.read(1 << 20)
        file.seek(0)
        file.read(1)
        (arrival / "sub/x.raw").write_bytes(b"gone")
        file.seek(0)
        assert file.read() == DATA


def test_a_file_that_is_gone_or_a_link_is_a_change_of_the_source(arrival: Path, tmp_path: Path) -> None:
    (arrival / "sub/x.raw").rename(tmp_path / "moved")
    with local(arrival) as opened, pytest.raises(SourceChanged, match="is gone"):
        opened.open(staged())
    (arrival / "sub/x.raw").symlink_to(tmp_path / "moved")
    with local(arrival) as opened, pytest.raises(SourceChanged, match=r"removed or replaced|is gone"):
        opened.open(staged())


def test_nothing_is_left_open_or_in_the_folder_for_copies(arrival: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with local(arrival) as opened, opened.open(staged()) as file:
            file.read(1 << 20)
            file.seek(0)
            file.read(1)
    assert len(os.listdir("/proc/self/fd")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan"]
