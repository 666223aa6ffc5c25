"""Listing: what may not be delivered is a fault, what may heal is not, and nothing is followed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from acting import acting
from dropslot.core.errors import SourceChanged
from dropslot.files.walk import MAX_FAULTS, changed, list_arrival
from hostility import make_socket
from people import Person


@pytest.fixture
def arrival(tmp_path: Path) -> Path:
    top = tmp_path / "arrival"
    (top / "b" / "deep").mkdir(parents=True)
    (top / "a").mkdir()
    for path in ("z", "b/2", "b/1", "b/deep/x", "a/1"):
        (top / path).write_text(path)
    return top


def test_items_stand_folder_by_folder_in_a_stable_order(arrival: Path) -> None:
    listing = list_arrival(arrival)
    assert [item.path for item in listing.items] == ["z", "a/1", "b/1", "b/2", "b/deep/x"]
    assert [path for path, _ in listing.folders] == ["a", "b", "b/deep"]
    assert not listing.faults
    assert listing == list_arrival(arrival)


def test_a_single_file_is_listed_under_its_own_name(arrival: Path) -> None:
    listing = list_arrival(arrival / "z")
    assert not listing.is_folder
    assert [item.path for item in listing.items] == ["z"]


def test_what_is_gone_has_changed(tmp_path: Path) -> None:
    with pytest.raises(SourceChanged):
        list_arrival(tmp_path / "nothing")


def _device(path: Path) -> None:
    os.mknod(path, 0o020600, os.makedev(1, 3))


def _hard_link(path: Path) -> None:
    os.link(path.parent.parent / "secret", path)


def _setuid(path: Path) -> None:
    path.write_text("#!/bin/sh")
    path.chmod(0o4755)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda p: p.symlink_to("z"), "symbolic link"),
        (lambda p: p.symlink_to("/etc"), "symbolic link"),
        (lambda p: p.symlink_to(p), "symbolic link"),
        (lambda p: p.symlink_to("nowhere"), "symbolic link"),
        (os.mkfifo, "FIFO"),
        (make_socket, "socket"),
        (_device, "character device"),
        (_hard_link, "hard links"),
        (_setuid, "setuid"),
    ],
)
def test_links_and_special_files_are_faults(arrival: Path, make: object, why: str) -> None:
    (arrival.parent / "secret").write_text("someone else's")
    make(arrival / "odd")  # type: ignore[operator]
    listing = list_arrival(arrival)
    assert len(listing.faults) == 1
    assert listing.faults[0].startswith("odd: ")
    assert why in listing.faults[0]
    assert "odd" not in [item.path for item in listing.items]


def test_a_link_instead_of_the_arrival_is_a_fault(arrival: Path) -> None:
    link = arrival.parent / "link"
    link.symlink_to(arrival)
    assert list_arrival(link).faults == ["link: is a symbolic link"]


@pytest.mark.parametrize(
    "name", [b"a\nb", b"a\x1b[2J", b"\xff\xfe", "a\u202etxt".encode(), b".dropslot", b".Dropslot"]
)
@pytest.mark.parametrize("folder", [True, False])
def test_unsafe_names_are_faults_that_can_be_printed(arrival: Path, name: bytes, folder: bool) -> None:
    path = os.path.join(os.fsencode(arrival), name)
    os.mkdir(path) if folder else os.close(os.open(path, os.O_CREAT))
    (fault,) = list_arrival(arrival).faults
    assert fault.isprintable()


def test_names_of_255_bytes_are_fine(arrival: Path) -> None:
    (arrival / ("ä" * 127 + "x")).write_text("")
    assert not list_arrival(arrival).faults


def test_a_thousand_levels_and_paths_beyond_path_max_are_faults(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for name in ("d", "n" * 200):
        fd = os.open(top, os.O_RDONLY)
        for _ in range(1000):
            os.mkdir(name, dir_fd=fd)
            inner = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = inner
        os.close(fd)
    faults = list_arrival(top).faults
    # pytest's own removal of old folders recurses, and would break off in this one.
    subprocess.run(["rm", "-rf", top], check=True)
    assert len(faults) == 2
    assert any("100 folders deep" in fault for fault in faults)
    assert any("3,500 bytes" in fault for fault in faults)
    assert all(len(fault) < 400 for fault in faults)


def test_faults_are_bounded(arrival: Path) -> None:
    for number in range(MAX_FAULTS + 5):
        (arrival / f"link{number}").symlink_to("z")
    faults = list_arrival(arrival).faults
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == "and 5 more faults"


def test_unreadable_items_and_folders_are_no_faults(open_folder: Path, other_user: Person) -> None:
    top = open_folder / "top"
    (top / "closed").mkdir(parents=True)
    (top / "closed").chmod(0o700)
    (top / "secret").write_text("x")
    (top / "secret").chmod(0o600)
    (top / "open").write_text("x")
    listing = acting(other_user, lambda: list_arrival(top))
    assert not listing.faults
    assert sorted(listing.unreadable) == ["closed", "secret"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda top: (top / "z").write_text("longer than before"), "z grew from 1 to 18 bytes"),
        (lambda top: (top / "z").write_text(""), "z shrank from 1 to 0 bytes"),
        (lambda top: os.utime(top / "z"), "z was written to"),
        (lambda top: (top / "a/1").unlink(), "a/1 was removed"),
        (lambda top: (top / "new").write_text(""), "new was added"),
        (lambda top: (top / "empty").mkdir(), "folder empty was added"),
        (lambda top: (top / "link").symlink_to("/etc"), "link: is a symbolic link"),
        (lambda top: ((top / "n").write_text("z"), (top / "n").replace(top / "z")), "z was replaced"),
    ],
)
def test_every_change_is_named(arrival: Path, change: object, says: str) -> None:
    listing = list_arrival(arrival)
    assert changed(arrival, listing) == []
    change(arrival)  # type: ignore[operator]
    assert any(says in sentence for sentence in changed(arrival, listing))


def test_reset_mtime_does_not_hide_a_write(arrival: Path) -> None:
    listing = list_arrival(arrival)
    seen = os.stat(arrival / "z")
    (arrival / "z").write_text("Z")
    os.utime(arrival / "z", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert changed(arrival, listing) == ["z was written to (its time changed)"]


def test_no_descriptor_is_left_open(arrival: Path) -> None:
    (arrival / "link").symlink_to("/etc")
    before = os.listdir("/proc/self/fd")
    list_arrival(arrival)
    assert os.listdir("/proc/self/fd") == before
