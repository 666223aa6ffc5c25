"""Sparse items: what is no data at the source takes no room at the destination, and every byte is hashed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from contract.destination_contract import ID, deliver, make, source_of
from contract.test_local import LocalSite
from dropslot.core.errors import DiskFull, Refused, SourceChanged
from dropslot.destinations.local.destination import Local
from dropslot.files import syscalls
from dropslot.files.writing import holes
from mounts import Mounts

MIB = 1 << 20


def _sparse(path: Path, size_bytes: int, data: dict[int, bytes]) -> str:
    """Returns its SHA-256."""
    with path.open("wb") as stream:
        for offset, part in data.items():
            stream.seek(offset)
            stream.write(part)
        stream.truncate(size_bytes)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {0: b"start"},
        {120 * MIB - 3: b"end"},
        {1: b"1", 70 * MIB + 17: os.urandom(MIB), 119 * MIB: b"z" * MIB},
    ],
)
def test_holes_stay_holes_on_a_disk_that_the_whole_would_fill(
    mounts: Mounts, tmp_path: Path, data: dict[int, bytes]
) -> None:
    site = LocalSite(mounts.ext4("32M"), Local())
    (tmp_path / "a").mkdir()
    sha256 = _sparse(tmp_path / "a/image.raw", 120 * MIB, data)
    make(tmp_path / "a", {"dense": b"d" * 300_000, "small": b"s"})
    assert deliver(site, tmp_path / "a", site.target("")) == []
    stored = site.root / "image.raw"
    with stored.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    assert stored.stat().st_blocks * 512 < 3 * MIB
    with site.destination.open(site.target(""), ID, 2, "a") as drop:
        assert drop.digest("image.raw") == sha256
    assert (site.root / "dense").read_bytes() == b"d" * 300_000


def test_digests_of_a_sparse_item_are_those_of_its_bytes(site: LocalSite, tmp_path: Path) -> None:
    sha256 = _sparse(tmp_path / "s", 40 * MIB + 5, {3 * MIB + 1: b"x" * 5000})
    with site.destination.open(site.target(), ID, 1, "s") as drop:
        (item,) = drop.stage(source_of(tmp_path / "s"), ("sha256", "md5"))
        assert item.sha256 == sha256
        assert item.digests["md5"] == hashlib.md5((tmp_path / "s").read_bytes()).hexdigest()
        drop.clean()


def test_data_that_does_not_fit_is_told_before_it_is_written(mounts: Mounts, tmp_path: Path) -> None:
    site = LocalSite(mounts.tmpfs("4m"), Local())
    _sparse(tmp_path / "s", 100 * MIB, {0: os.urandom(6 * MIB)})
    with pytest.raises(Refused, match="whole file system"):
        deliver(site, tmp_path / "s", site.target())
    site.put("filler", os.urandom(3 * MIB))
    _sparse(tmp_path / "s", 100 * MIB, {0: os.urandom(2 * MIB)})
    with pytest.raises(DiskFull, match="are free"):
        deliver(site, tmp_path / "s", site.target())


@pytest.mark.parametrize("size_bytes", [10 * MIB, 90 * MIB])
@pytest.mark.parametrize("after", ["first hole", "data"])
def test_a_sparse_item_that_changes_its_size_is_noticed(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int, after: str
) -> None:
    path = tmp_path / "s"
    _sparse(path, 50 * MIB, {20 * MIB: b"x" * 100_000})
    name, where = ("_hash_zeros", holes) if after == "first hole" else ("write_all", syscalls)
    real = getattr(where, name)

    def meddle(*args: object) -> None:
        real(*args)
        os.truncate(path, size_bytes)

    monkeypatch.setattr(where, name, meddle)
    with site.destination.open(site.target(), ID, 1, "s") as drop:
        with pytest.raises(SourceChanged, match="grew" if size_bytes > 50 * MIB else "shrank"):
            drop.stage(source_of(path))
        drop.clean()


def test_a_file_system_that_knows_no_holes_gives_all_as_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sparse(tmp_path / "s", MIB, {})

    def lseek(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    with (tmp_path / "s").open("rb") as stream:
        monkeypatch.setattr(os, "lseek", lseek)
        assert list(holes._runs_of_data(stream.fileno(), MIB)) == [(0, MIB)]  # noqa: SLF001 - ours


@pytest.fixture
def site(tmp_path: Path) -> LocalSite:
    (tmp_path / "out").mkdir()
    return LocalSite(tmp_path / "out", Local())
