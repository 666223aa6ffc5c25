"""Moves where the file system has no rename that does not replace: what somebody else puts there meanwhile stays."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dropslot.arrivals.intake import claim

Meddle = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _no_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS and most FUSE programs answer."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(claim, "rename_no_replace", refuse)


def _meanwhile(monkeypatch: pytest.MonkeyPatch, before: str, act: Callable[[], object]) -> None:
    """Do `act` just before the system call `before`, whatever was looked at by then."""
    real = getattr(os, before)

    def call(*args: object, **options: object) -> object:
        monkeypatch.setattr(os, before, real)
        act()
        return real(*args, **options)

    monkeypatch.setattr(os, before, call)


def test_a_free_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/x").write_bytes(b"2")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "folder", "link"):
        claim.move(tmp_path / name, tmp_path / f"new-{name}")
        assert not os.path.lexists(tmp_path / name)
    assert (tmp_path / "new-file").read_bytes() == b"1"
    assert os.stat(tmp_path / "new-file").st_nlink == 1
    assert (tmp_path / "new-folder/x").read_bytes() == b"2"
    assert os.readlink(tmp_path / "new-link") == "nowhere"


@pytest.mark.parametrize("what", ["file", "folder", "empty folder", "link"])
@pytest.mark.parametrize("ours", ["file", "folder"])
def test_what_comes_between_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, ours: str
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    if ours == "folder":
        source.mkdir()
        (source / "x").write_bytes(b"ours")
    else:
        source.write_bytes(b"ours")

    def come() -> None:
        if what == "file":
            target.write_bytes(b"theirs")
        elif what == "link":
            target.symlink_to("theirs")
        else:
            target.mkdir()
            if what == "folder":
                (target / "y").write_bytes(b"theirs")

    _meanwhile(monkeypatch, "mkdir" if ours == "folder" else "link", come)
    with pytest.raises(FileExistsError):
        claim.move(source, target)
    assert (source / "x" if ours == "folder" else source).read_bytes() == b"ours"
    if what == "link":
        assert os.readlink(target) == "theirs"
    elif what == "empty folder":
        assert os.listdir(target) == []
    else:
        assert (target if what == "file" else target / "y").read_bytes() == b"theirs"


def test_without_links_a_file_is_not_moved_to_a_name_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(FileExistsError):
        claim.move(tmp_path / "file", tmp_path / "new")
    claim.move_to_own(tmp_path / "file", tmp_path / "own")
    assert (tmp_path / "own").read_bytes() == b"1"


def test_a_crash_between_link_and_unlink_is_mended(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    os.link(tmp_path / "file", tmp_path / "done")
    claim.move(tmp_path / "file", tmp_path / "done")
    assert os.listdir(tmp_path) == ["done"]


@pytest.mark.parametrize("move", [claim.move_to_own, claim.move])
def test_what_is_gone_is_gone_even_when_the_target_is_there(tmp_path: Path, move: Meddle) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "gone", tmp_path / "target")  # type: ignore[call-arg]
