"""Litter: the names that file managers, Office and network storage leave behind, and nothing else."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acting import acting
from dropslot.arrivals.intake.seal import seal_arrival, sender
from dropslot.core.file_names.litter import BY_DEFAULT, NONE, Litter
from dropslot.files.walk import changed, list_arrival
from people import Person

USUAL = Litter()
LITTER = [
    ".DS_Store",
    ".ds_store",
    "._scan.nii",
    "._.DS_Store",
    "Thumbs.db",
    "THUMBS.DB",
    "ehthumbs.db",
    "Desktop.ini",
    "Icon\r",
    "~$rotokoll.docx",
    ".~lock.Protokoll.odt#",
    "scan.pdf:Zone.Identifier",
    "scan.pdf:Zone.Identifier:$DATA",
    "scan.pdf\uf022Zone.Identifier",
    "scan.pdf\uf03aZone.Identifier",
    "scan.pdf:com.apple.quarantine",
    "scan.pdf:AFP_AfpInfo:$DATA",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    "System Volume Information",
    "@eaDir",
    "#recycle",
    ".Spotlight-V100",
    ".Trashes",
    ".Trash-1000",
    ".fseventsd",
    ".TemporaryItems",
    ".AppleDouble",
    "__MACOSX",
    "Network Trash Folder",
    ".directory",
    ".nfs00000000012a4b2c00000003",
    ".fuse_hidden0000000500000001",
    "lost+found",
]
DATA = [
    "scan.nii",
    ".hidden",
    ".bidsignore",
    ".scan.x7Qz2a",
    "Thumbs.dbx",
    "thumbs",
    "my desktop.ini.txt",
    "Icon",
    "Iconic\r",
    "~scan",
    "scan~",
    "$scan",
    "Zone.Identifier",
    "eaDir",
    ".nfs",
    "scan.lock",
    "directory",
    "_._x",
    ".x.pdf.icloud",
    "trash",
]


@pytest.mark.parametrize("name", LITTER)
def test_what_programs_leave_behind_is_litter(name: str) -> None:
    assert USUAL.match(name)
    assert USUAL.may_be_among("a/b", ["first.dcm", name, "last.dcm"])


@pytest.mark.parametrize("name", DATA)
def test_what_only_looks_like_it_is_data(name: str) -> None:
    assert not USUAL.match(name)
    assert not USUAL.ignores(f"a/{name}/b")


PATTERNS = [*BY_DEFAULT, "*", "*.[!]]x", "[]a]*", "a[b", "?", "É*", "[*]x", "x[a-c]y*"]


@given(
    st.sampled_from(PATTERNS),
    st.sampled_from(["x", ".", "A", "]", "c", "*"]),
    st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), max_size=4),
)
def test_the_quick_look_misses_nothing(pattern: str, some: str, names: list[str]) -> None:
    names += [pattern.replace("*", some).replace("?", some)]
    litter = Litter([pattern])
    if any(map(litter.match, names)):
        assert litter.may_be_among("", names)


def test_letter_case_and_unicode_form_make_no_difference() -> None:
    litter = Litter(["ÉTUDE*"])
    assert litter.match(unicodedata.normalize("NFD", "étude.txt"))


def test_nothing_is_litter_when_the_list_is_empty() -> None:
    assert not any(map(NONE.match, LITTER))
    assert not NONE.may_be_among("", LITTER)


def test_what_is_kept_is_no_litter_nor_are_the_folders_above_it() -> None:
    litter = USUAL.keeping(["data/@eaDir/x", "data/.DS_Store"])
    assert not litter.ignores("data/@eaDir/x")
    assert not litter.ignores("data/@eaDir")
    assert not litter.ignores("data/.DS_Store")
    assert litter.ignores("data/@eaDir/y")
    assert litter.ignores(".DS_Store")


@pytest.fixture
def arrival(tmp_path: Path) -> Path:
    """Data with litter of every kind in it: files, folders, links, a second name of somebody's file, a FIFO."""
    top = tmp_path / "arrival"
    (top / "sub/@eaDir/deep").mkdir(parents=True)
    (top / "empty").mkdir()
    for path in (
        "a.dcm",
        "sub/b.dcm",
        ".DS_Store",
        "sub/._b.dcm",
        "sub/Icon\r",
        "sub/@eaDir/deep/x@SynoEAStream",
    ):
        (top / path).write_text(path)
    (tmp_path / "secret").write_text("somebody's")
    (top / "Thumbs.db").symlink_to(tmp_path / "secret")
    os.link(tmp_path / "secret", top / "sub/desktop.ini")
    os.mkfifo(top / "sub/~$report.docx")
    return top


def test_the_walk_names_litter_and_takes_nothing_of_it(arrival: Path) -> None:
    listing = list_arrival(arrival, USUAL)
    assert [item.path for item in listing.items] == ["a.dcm", "sub/b.dcm"]
    assert [path for path, _ in listing.folders] == ["empty", "sub"]
    assert not listing.faults
    litter = [".DS_Store", "Thumbs.db", "sub/._b.dcm", "sub/@eaDir", "sub/Icon\r", "sub/desktop.ini"]
    assert listing.ignored == [*litter, "sub/~$report.docx"]
    assert list_arrival(arrival).faults, "and without the list it is looked at as everything is"


def test_kept_litter_is_listed_and_its_neighbours_are_not(arrival: Path) -> None:
    litter = USUAL.keeping(["sub/@eaDir/deep/x@SynoEAStream", ".DS_Store"])
    (arrival / "sub/@eaDir/other").write_text("x")
    listing = list_arrival(arrival, litter)
    paths = [item.path for item in listing.items]
    assert paths == [".DS_Store", "a.dcm", "sub/b.dcm", "sub/@eaDir/deep/x@SynoEAStream"]
    assert "sub/@eaDir/other" in listing.ignored


def test_a_change_of_litter_is_no_change(arrival: Path) -> None:
    listing = list_arrival(arrival, USUAL)
    (arrival / "sub/._b.dcm").write_text("Finder was here")
    (arrival / "sub/.DS_Store").write_text("and here")
    (arrival / "Thumbs.db").unlink()
    assert changed(arrival, listing) == []
    (arrival / "sub/b.dcm").write_text("changed")
    assert changed(arrival, listing) == ["sub/b.dcm shrank from 9 to 7 bytes"]


def test_data_that_becomes_litter_is_a_change(arrival: Path) -> None:
    listing = list_arrival(arrival, USUAL)
    (arrival / "a.dcm").rename(arrival / "._a.dcm")
    assert changed(arrival, listing) == ["a.dcm was removed"]


def test_litter_that_cannot_be_read_is_no_hindrance(open_folder: Path, other_user: Person) -> None:
    (open_folder / "arrival/@eaDir").mkdir(parents=True)
    (open_folder / "arrival/.DS_Store").touch(mode=0)
    (open_folder / "arrival/@eaDir").chmod(0)
    (open_folder / "arrival/a.dcm").write_text("a")
    call = lambda: list_arrival(open_folder / "arrival", USUAL).unreadable  # noqa: E731
    assert acting(other_user, call) == []


def test_litter_is_sealed_too(arrival: Path, other_user: Person) -> None:
    for folder, _, files in os.walk(arrival):
        for path in (folder, *(f"{folder}/{name}" for name in files)):
            os.chown(path, other_user.uid, -1, follow_symlinks=False)
    assert seal_arrival(arrival, other_user.uid, USUAL) == []
    for path in (".DS_Store", "sub/@eaDir", "sub/@eaDir/deep/x@SynoEAStream"):
        seen = (arrival / path).stat()
        assert (seen.st_uid, seen.st_mode & 0o077) == (os.geteuid(), 0)
    assert (arrival / "sub/desktop.ini").stat().st_uid == other_user.uid, (
        "a file with two names is left alone"
    )


def test_litter_that_the_storage_made_as_another_account_is_left_alone(
    arrival: Path, other_user: Person
) -> None:
    stranger = other_user.uid + 1
    os.chown(arrival / "sub/@eaDir", stranger, -1)
    os.chown(arrival / ".DS_Store", stranger, -1)
    uid = os.geteuid()
    for path in (arrival, *arrival.rglob("*")):
        if path.lstat().st_uid == uid:
            os.chown(path, other_user.uid, -1, follow_symlinks=False)
    assert seal_arrival(arrival, other_user.uid, USUAL) == []
    assert (arrival / "sub/@eaDir").stat().st_uid == stranger
    assert len(seal_arrival(arrival, other_user.uid, NONE)) == 2


def test_litter_does_not_tell_who_the_sender_is(tmp_path: Path, other_user: Person) -> None:
    (tmp_path / "@eaDir").mkdir()
    (tmp_path / "scan").touch()
    for name, uid in (("@eaDir", other_user.uid + 1), ("scan", other_user.uid)):
        os.chown(tmp_path / name, uid, -1)
    assert sender(tmp_path, USUAL) == other_user.uid
