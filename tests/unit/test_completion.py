"""The rules of completeness on real files, with a clock of the test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from structlog.testing import capture_logs

from clocked import Desk
from dropslot.core.file_names import litter
from dropslot.watching import quiet
from dropslot.watching.completion import RETRY_SECONDS
from dropslot.watching.temporary import TemporaryNames
from hostility import make_socket


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_renamed_to_a_final_name_is_complete_at_once(desk: Desk) -> None:
    (desk.inbox / "scan").mkdir()
    (desk.inbox / "scan" / "file").touch()
    desk.tell("scan")
    assert desk.look() == {"scan"}


@pytest.mark.parametrize("complete", ["renamed", "named", "settled"])
def test_litter_at_the_top_is_never_noticed(tmp_path: Path, complete: str) -> None:
    desk = Desk(tmp_path, complete=complete)
    (desk.inbox / "@eaDir").mkdir()
    for name in (".DS_Store", "Thumbs.db", "Icon\r", "._scan"):
        (desk.inbox / name).touch()
    with capture_logs() as logs:
        for how in ("created", "moved", "scanned"):
            for name in os.listdir(desk.inbox):
                desk.tell(name, how)
        assert desk.look(60) == set()
    assert desk.waiting() == {} and logs == []
    assert desk.completion.next_look() is None


def test_litter_that_gets_a_name_of_its_own_is_noticed(desk: Desk) -> None:
    (desk.inbox / "~$scan").touch()
    desk.tell("~$scan")
    (desk.inbox / "~$scan").rename(desk.inbox / "scan")
    desk.tell("scan")
    assert desk.look() == {"scan"}


def test_thousands_that_another_process_took_are_forgotten(desk: Desk) -> None:
    for number in range(2000):
        (desk.inbox / f"scan{number}").touch()
        desk.tell(f"scan{number}", "created")
    for entry in desk.inbox.iterdir():
        entry.unlink()
    assert desk.look(20) == set()
    assert not desk.waiting()


def test_judged_holds_what_the_lstat_saw(desk: Desk) -> None:
    (desk.inbox / "scan").write_bytes(b"12345")
    desk.tell("scan")
    (judged,) = desk.completion.complete(desk.now)
    status = (desk.inbox / "scan").lstat()
    facts = (status.st_dev, status.st_ino, False, 5, os.getuid(), status.st_ctime_ns)
    assert judged == ("scan", *facts)


def test_size_of_a_walked_folder_is_the_sum_of_its_files(desk: Desk) -> None:
    (desk.inbox / "scan" / "deep").mkdir(parents=True)
    (desk.inbox / "scan" / "a").write_bytes(b"123")
    (desk.inbox / "scan" / "deep" / "b").write_bytes(b"4567")
    desk.tell("scan", "created")
    desk.look(4.9)
    desk.now += 1
    (judged,) = desk.completion.complete(desk.now)
    assert judged.is_folder
    assert judged.size_bytes == 7


@pytest.mark.parametrize("how", ["created", "scanned"])
def test_created_under_its_final_name_waits_until_it_is_quiet(desk: Desk, how: str) -> None:
    (desk.inbox / "scan").write_bytes(b"1")
    desk.tell("scan", how)
    assert desk.look(4.9) == set()
    assert "scan" in desk.waiting()
    assert desk.look(0.2) == {"scan"}
    assert desk.waiting() == {}


@pytest.mark.parametrize("preset", ["renamed", "named", "marker"])
@pytest.mark.parametrize("how", ["created", "moved", "scanned"])
def test_temporary_name_is_never_complete(tmp_path: Path, preset: str, how: str) -> None:
    keys: dict[str, Any] = {"marker": "READY"} if preset == "marker" else {}
    desk = Desk(tmp_path, complete=preset, **keys)
    (desk.inbox / ".scan.part").mkdir()
    (desk.inbox / ".scan.part" / "READY").touch()
    desk.tell(".scan.part", how)
    assert desk.look(10_000) == set()
    assert ".scan.part" in desk.waiting()


def test_trusted_names_need_not_be_quiet(tmp_path: Path) -> None:
    desk = Desk(tmp_path, trust_names=True)
    (desk.inbox / "scan").touch()
    (desk.inbox / "scan.part").touch()
    desk.completion.scanned(["scan", "scan.part"], desk.now)
    assert desk.look() == {"scan"}


def test_named_takes_any_final_name_at_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="named", temporary=["*.wait"])
    for name in ("a", "b.wait"):
        (desk.inbox / name).touch()
        desk.tell(name, "created")
    assert desk.look() == {"a"}
    assert desk.look(1000) == set()


def test_settled_waits_for_what_was_moved_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="settled")
    (desk.inbox / "a").touch()
    desk.tell("a", "moved")
    assert desk.look(4.9) == set()
    assert desk.look(0.2) == {"a"}


def test_settled_takes_any_name_but_what_the_route_calls_temporary(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="settled", temporary=["*.wait"])
    for name in (".hidden", "scan.part", "b.wait"):
        (desk.inbox / name).touch()
        desk.tell(name, "created")
    assert desk.look(5.1) == {".hidden", "scan.part"}
    assert desk.look(1000) == set()


def test_marker_may_be_written_in_another_form_of_unicode(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="marker", marker=normalize("NFC", "geprüft"), takes="directories")
    (desk.inbox / "study").mkdir()
    (desk.inbox / "study" / normalize("NFD", "geprüft")).touch()
    desk.tell("study", "created")
    assert desk.look() == {"study"}


def test_marker_completes_when_it_appears_inside(tmp_path: Path) -> None:
    desk = Desk(tmp_path, complete="marker", marker="READY", takes="directories")
    (desk.inbox / "scan").mkdir()
    desk.tell("scan", "moved")
    assert desk.look(600) == set()
    (desk.inbox / "scan" / "READY").touch()
    assert desk.look(5.1) == {"scan"}


@pytest.mark.parametrize("change", ["grow", "rewrite", "mtime kept", "deep", "new name", "removed", "mode"])
def test_any_change_begins_the_wait_anew(desk: Desk, change: str) -> None:
    scan = desk.inbox / "scan"
    (scan / "a" / "b").mkdir(parents=True)
    (scan / "a" / "b" / "file").write_bytes(b"1234")
    (scan / "gone").touch()
    desk.tell("scan", "created")
    assert desk.look(3) == set()
    file = scan / "a" / "b" / "file"
    before = file.stat()
    if change == "grow":
        file.write_bytes(b"12345")
    elif change in ("rewrite", "deep"):
        file.write_bytes(b"4321")
    elif change == "mtime kept":
        file.write_bytes(b"4321")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "new name":
        (scan / "a" / "b" / "more").touch()
    elif change == "removed":
        (scan / "gone").unlink()
    else:
        file.chmod(0o600)
    assert desk.look(4) == set()
    assert desk.look(3.1) == {"scan"}


def test_placeholder_that_is_written_later_is_waited_for(desk: Desk) -> None:
    (desk.inbox / "scan.pdf").touch()
    desk.tell("scan.pdf", "created")
    assert desk.look(4) == set()
    (desk.inbox / "scan.pdf").write_bytes(b"%PDF")
    assert desk.look(5) == set()
    assert desk.look(5.1) == {"scan.pdf"}


def test_empty_file_that_stays_quiet_is_complete(desk: Desk) -> None:
    (desk.inbox / "empty").touch()
    desk.tell("empty", "created")
    assert desk.look(5.1) == {"empty"}


def test_upload_that_starts_again_waits_again(desk: Desk) -> None:
    scan = desk.inbox / "scan"
    scan.write_bytes(b"first")
    desk.tell("scan", "created")
    assert desk.look(4) == set()
    scan.unlink()
    desk.completion.gone("scan")
    scan.write_bytes(b"again")
    desk.tell("scan", "created")
    assert desk.look(4.9) == set()
    assert desk.look(0.2) == {"scan"}


def test_entry_that_vanishes_is_forgotten(desk: Desk) -> None:
    (desk.inbox / "scan").touch()
    desk.tell("scan", "created")
    (desk.inbox / "scan").unlink()
    assert desk.look(20) == set()
    assert desk.waiting() == {}


def test_scan_forgets_what_it_does_not_find(desk: Desk) -> None:
    (desk.inbox / "a.part").touch()
    desk.tell("a.part", "created")
    desk.completion.scanned([], desk.now)
    assert desk.waiting() == {}


def test_rename_upgrades_what_a_scan_found_first(desk: Desk) -> None:
    (desk.inbox / "scan").touch()
    desk.tell("scan", "scanned")
    desk.look(1)
    desk.tell("scan", "moved")
    assert desk.look() == {"scan"}


def test_told_twice_is_handed_out_once(desk: Desk) -> None:
    (desk.inbox / "scan").touch()
    desk.tell("scan")
    desk.tell("scan")
    assert len(desk.completion.complete(desk.now)) == 1
    assert desk.completion.complete(desk.now) == []


def test_what_could_not_be_taken_is_handed_out_again_but_not_at_once(desk: Desk) -> None:
    (desk.inbox / "scan").touch()
    desk.tell("scan")
    assert desk.look() == {"scan"}
    desk.tell("scan")
    assert desk.look() == set()
    assert desk.look(RETRY_SECONDS) == {"scan"}


def test_scan_hands_out_again_what_was_never_taken(desk: Desk) -> None:
    (desk.inbox / "scan").touch()
    desk.tell("scan")
    assert desk.look() == {"scan"}
    desk.completion.scanned(["scan"], desk.now)
    assert desk.look(RETRY_SECONDS) == {"scan"}


def test_next_upload_under_a_taken_name_is_judged_by_itself(desk: Desk) -> None:
    scan = desk.inbox / "scan"
    scan.touch()
    desk.tell("scan")
    assert desk.look() == {"scan"}
    keep = scan.rename(desk.folders.processing / "scan")
    scan.write_bytes(b"half")
    desk.tell("scan", "created")
    assert desk.look(4.9) == set()
    assert desk.look(0.2) == {"scan"}
    assert keep.exists()


def test_left_source_is_handed_out_again_only_when_it_changes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, leave_source=True)
    (desk.inbox / "scan").write_bytes(b"1")
    desk.tell("scan", "scanned")
    assert desk.look(6) == {"scan"}
    for _ in range(3):
        desk.completion.scanned(["scan"], desk.now)
        assert desk.look(30) == set()
    (desk.inbox / "scan").write_bytes(b"22")
    desk.completion.scanned(["scan"], desk.now)
    assert desk.look(30) == {"scan"}


@pytest.mark.parametrize(("takes", "taken"), [("files", {"f"}), ("directories", {"d"}), ("any", {"f", "d"})])
def test_what_a_route_does_not_take_can_be_ignored_and_is_said_once(
    tmp_path: Path, takes: str, taken: set[str]
) -> None:
    desk = Desk(tmp_path, takes=takes, other_kinds="ignore")
    (desk.inbox / "f").touch()
    (desk.inbox / "d").mkdir()
    (desk.inbox / "d" / "file").touch()
    with capture_logs() as logs:
        for _ in range(2):
            desk.completion.scanned(["f", "d"], desk.now)
            desk.tell("f")
            desk.tell("d")
    assert desk.look(20) == taken
    assert sum(entry["action"] == "entry_ignored" for entry in logs) == 2 - len(taken)
    assert desk.waiting().keys() == {"f", "d"} - taken


def test_ignored_name_that_becomes_another_thing_is_noticed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, takes="directories", other_kinds="ignore")
    (desk.inbox / "scan").touch()
    desk.tell("scan", "scanned")
    (desk.inbox / "scan").unlink()
    (desk.inbox / "scan").mkdir()
    (desk.inbox / "scan" / "file").touch()
    desk.completion.scanned(["scan"], desk.now)
    assert desk.look(6) == {"scan"}


def test_links_and_special_files_are_complete_at_once_and_never_opened(tmp_path: Path) -> None:
    desk = Desk(tmp_path, takes="directories", complete="settled")
    (desk.inbox / "link").symlink_to("/etc")
    (desk.inbox / "dangling").symlink_to("nowhere")
    (desk.inbox / "self").symlink_to("self")
    os.mkfifo(desk.inbox / "fifo")
    make_socket(desk.inbox / "socket")
    names = ["link", "dangling", "self", "fifo", "socket"]
    desk.completion.scanned(names, desk.now)
    judged = desk.completion.complete(desk.now)
    assert {one.name for one in judged} == set(names)
    assert not any(one.is_folder for one in judged)


def test_test_names_are_logged_and_never_handed_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, test_names="test*")
    (desk.inbox / "TEST-1").touch()
    with capture_logs() as logs:
        desk.tell("TEST-1")
        assert desk.look(1000) == set()
    assert [entry["event"][:2] for entry in logs] == ["1|", "2|", "A "]
    assert logs[-1]["event"] == f"A test: {desk.inbox}/TEST-1 would be delivered now"


def test_log_lines_of_an_upload(desk: Desk) -> None:
    path = desk.inbox
    with capture_logs() as logs:
        (path / "a.part").touch()
        desk.tell("a.part", "created")
        (path / "a.part").rename(path / "a")
        desk.completion.gone("a.part")
        desk.tell("a", "moved")
        desk.look()
    assert [entry["event"] for entry in logs] == [
        f"1|CREATE EVENT: {path}/a.part",
        f"2|NOTFINISHED: {path}/a.part",
        f"1|MOVEDTO EVENT: {path}/a",
        f"2|FINISHED: {path}/a",
    ]


def test_log_lines_are_escaped(desk: Desk) -> None:
    name = "a\nb\x1b[31m\u202e\udcff"
    (desk.inbox / name).touch()
    with capture_logs() as logs:
        desk.tell(name)
    assert logs[0]["event"].endswith(r"/a\x0ab\x1b[31m\u202e\xff")


def test_large_tree_is_walked_in_slices_and_does_not_hold_up_the_others(desk: Desk) -> None:
    (desk.inbox / "large").mkdir()
    for number in range(quiet.SLICE * 3):
        (desk.inbox / "large" / str(number)).touch()
    desk.tell("large", "created")
    assert desk.completion.complete(desk.now) == []
    (desk.inbox / "small").touch()
    desk.tell("small", "moved")
    assert [judged.name for judged in desk.completion.complete(desk.now)] == ["small"]
    assert desk.look(6) == {"large"}


def test_folder_swapped_for_a_link_while_it_is_walked(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    scan = desk.inbox / "scan"
    (scan / "sub").mkdir(parents=True)
    steps = quiet.look(str(scan), scan.lstat(), TemporaryNames().inside(litter.NONE))
    (scan / "sub").rmdir()
    (scan / "sub").symlink_to(outside)
    looks = []
    try:
        while True:
            next(steps)
    except StopIteration as end:
        looks.append(end.value)
    assert looks[0] is not None
    assert looks[0].entries == 2  # the folder and the link; nothing of what the link leads to


def test_tree_of_a_thousand_levels_is_walked_to_its_end(desk: Desk) -> None:
    (desk.inbox / "deep").mkdir()
    folder = os.open(desk.inbox / "deep", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("level", dir_fd=folder)
        below = os.open("level", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    desk.tell("deep", "created")
    assert desk.look(3) == set()
    os.close(os.open("late", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    assert desk.look(3) == set()
    assert desk.look(10) == {"deep"}
    # Not left to pytest, whose own removal is recursive.
    subprocess.run(["rm", "-rf", str(desk.inbox / "deep")], check=True)


def test_walk_that_is_dropped_leaves_nothing_open(desk: Desk) -> None:
    (desk.inbox / "large").mkdir()
    for number in range(quiet.SLICE * 2):
        (desk.inbox / "large" / str(number)).touch()
    before = len(os.listdir("/proc/self/fd"))
    desk.tell("large", "created")
    desk.completion.complete(desk.now)
    desk.completion.close()
    assert len(os.listdir("/proc/self/fd")) == before
