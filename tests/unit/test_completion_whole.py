"""What is never complete: trees that hold something unfinished or nothing, and kinds that a route does not take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from clocked import Desk
from product import Tree, write_tree

DAY = 86400
RULES: list[dict[str, Any]] = [
    {"complete": "renamed"},
    {"complete": "named"},
    {"complete": "settled"},
    {"complete": "marker", "marker": "READY"},
]
HOWS = ["created", "moved", "renamed", "scanned"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def fill(desk: Desk, name: str, content: Tree | bytes) -> Path:
    return write_tree(desk.inbox / name, content)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["complete"]))
@pytest.mark.parametrize("how", HOWS)
def test_a_folder_with_an_unfinished_name_at_any_depth_waits_until_it_is_gone(
    tmp_path: Path, rule: dict[str, Any], how: str
) -> None:
    desk = Desk(tmp_path, **rule)
    scan = fill(desk, "scan", {"READY": b"", "a/IM1": b"1", "a/b/.IM2.dcm.6kVLuA": b"2"})
    desk.tell("scan", how)
    assert desk.look(600) == set()
    assert "a/b/.IM2.dcm.6kVLuA is unfinished" in desk.waiting()["scan"]
    (scan / "a/b/.IM2.dcm.6kVLuA").rename(scan / "a/b/IM2.dcm")
    assert desk.look(60) == {"scan"}


@pytest.mark.parametrize("folder", [".~tmp~/", ".rsync-partial/IM2", "IM2.dcm.download/Info.plist"])
def test_a_folder_of_a_transfer_program_is_unfinished_too(desk: Desk, folder: str) -> None:
    fill(desk, "scan", {"IM1": b"1", folder: b""})
    desk.tell("scan")
    assert desk.look(600) == set()


def test_after_something_unfinished_a_folder_must_be_quiet_too(desk: Desk) -> None:
    scan = fill(desk, "scan", {"IM1": b"1", "IM2.filepart": b"2"})
    desk.tell("scan")
    assert desk.look(60) == set()
    (scan / "IM2.filepart").rename(scan / "IM2")
    desk.look(1)
    (scan / "IM3").touch()
    assert desk.look(4) == set()
    assert desk.look(15) == {"scan"}


def test_trusting_names_trusts_no_unfinished_one(tmp_path: Path) -> None:
    desk = Desk(tmp_path, trust_names=True)
    fill(desk, "scan", {"IM1": b"1", "IM2.dcm.1a2b3c4d.partial": b"2"})
    fill(desk, "empty", {})
    desk.completion.scanned(["scan", "empty"], desk.now)
    assert desk.look(600) == set()
    assert desk.completion.next_look() is None  # a drain would wait for it
    assert desk.completion.stuck() == []  # perhaps its sender is at it right now


def test_patterns_of_the_route_count_inside_of_a_folder(tmp_path: Path) -> None:
    desk = Desk(tmp_path, temporary=["*.uploading", "!*.part"])
    fill(desk, "scan", {"IM1": b"1", "IM2.Uploading": b"2"})
    fill(desk, "model", {"bolt.part": b"a part of a machine"})
    desk.tell("scan")
    desk.tell("model")
    assert desk.look(600) == {"model"}


@pytest.mark.parametrize("content", [{"IM2.filepart": b"2", "IM1": b""}, {}, {"sub/": b""}])
def test_what_is_not_whole_is_given_up_when_nothing_changes(tmp_path: Path, content: Tree) -> None:
    desk = Desk(tmp_path, give_up="0s")
    fill(desk, "scan", content)
    desk.tell("scan")
    assert desk.look(4) == set()
    assert desk.look(6) == {"scan"}


def test_what_goes_on_changing_is_not_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path, give_up="30s")
    scan = fill(desk, "scan", {"IM2.filepart": b"2"})
    os.utime(scan / "IM2.filepart", (0, 0))  # what the sender says of its age counts for nothing
    desk.tell("scan")
    assert desk.look(DAY) == set()


def test_what_is_stuck_is_said_once_with_its_last_change(desk: Desk) -> None:
    scan = fill(desk, "scan", {"sub/IM2.filepart": b"2"})
    desk.tell("scan", "created")
    assert desk.completion.stuck() == []
    desk.look(300)
    (stuck,) = desk.completion.stuck()
    assert (stuck.judged.name, stuck.judged.is_folder) == ("scan", True)
    assert stuck.since == pytest.approx((scan / "sub/IM2.filepart").stat().st_ctime, abs=1)


@pytest.mark.parametrize("rule", RULES[:3], ids=lambda rule: str(rule["complete"]))
@pytest.mark.parametrize("how", HOWS)
def test_a_folder_without_a_file_waits_and_then_must_be_quiet(
    tmp_path: Path, rule: dict[str, Any], how: str
) -> None:
    desk = Desk(tmp_path, **rule)
    scan = fill(desk, "scan", {"sub/subsub/": b""})
    desk.tell("scan", how)
    assert desk.look(100) == set()
    assert "contains no file" in desk.waiting()["scan"]
    (scan / "sub/IM1").touch()
    assert desk.look(4.9) == set()
    assert desk.look(30) == {"scan"}


@pytest.mark.parametrize("litter", [".DS_Store", "Thumbs.db", "sub/desktop.ini", "@eaDir/SYNO@.fileindexdb"])
def test_a_folder_with_nothing_but_litter_holds_no_file(desk: Desk, litter: str) -> None:
    scan = fill(desk, "scan", {litter: b"1"})
    desk.tell("scan")
    assert desk.look(100) == set()
    (scan / "IM1").touch()
    assert desk.look(30) == {"scan"}


def test_litter_is_not_unfinished(desk: Desk) -> None:
    fill(desk, "scan", {"IM1": b"1", "~$letter.tmp": b"1", ".Trash-1000/files/x.part": b"1"})
    desk.tell("scan")
    assert desk.look() == {"scan"}


def test_an_empty_file_is_complete(desk: Desk) -> None:
    fill(desk, "scan.txt", b"")
    desk.tell("scan.txt")
    assert desk.look() == {"scan.txt"}


@pytest.mark.parametrize("rule", RULES[:3], ids=lambda rule: str(rule["complete"]))
def test_new_folder_that_is_renamed_and_then_filled_is_waited_for(
    tmp_path: Path, rule: dict[str, Any]
) -> None:
    desk = Desk(tmp_path, **rule)
    fill(desk, "New folder", {})
    desk.tell("New folder", "created")
    desk.look(8)
    (desk.inbox / "New folder").rename(desk.inbox / "heart-1")
    desk.completion.gone("New folder")
    desk.completion.moved("heart-1", "New folder", desk.now)
    assert desk.look(2) == set()
    (desk.inbox / "heart-1" / "IM1").touch()
    assert desk.look(3) == set()
    (desk.inbox / "heart-1" / "IM2").touch()
    assert desk.look(4.9) == set()
    assert desk.look(10) == {"heart-1"}


@pytest.mark.parametrize("source", ["old", "scan (1).txt"])
def test_a_final_name_given_to_another_final_name_is_no_sign_of_the_end(desk: Desk, source: str) -> None:
    fill(desk, "scan.txt", b"1")
    desk.completion.moved("scan.txt", source, desk.now)
    assert desk.look(4.9) == set()
    assert desk.look(0.2) == {"scan.txt"}


@pytest.mark.parametrize("source", [None, ".scan.txt", "scan.txt.part", "scan.txt.1a2b3c4d.partial"])
def test_a_final_name_given_to_a_temporary_one_is_complete(desk: Desk, source: str | None) -> None:
    fill(desk, "scan.txt", b"1")
    desk.completion.moved("scan.txt", source, desk.now)
    assert desk.look() == {"scan.txt"}


def test_what_is_renamed_onto_a_name_that_waits_out_its_grace_must_be_quiet(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace="1s")
    fill(desk, "scan.txt", b"1")
    desk.completion.moved("scan.txt", None, desk.now)
    desk.look(0.5)
    fill(desk, "other.txt", b"2").replace(desk.inbox / "scan.txt")
    desk.completion.moved("scan.txt", "other.txt", desk.now)
    assert desk.look(4.9) == set()
    assert desk.look(0.2) == {"scan.txt"}


# The grace.


@pytest.mark.parametrize("content", [b"1", {"IM1": b"1"}])
@pytest.mark.parametrize("preset", ["renamed", "named"])
def test_a_grace_goes_by_before_a_final_name_is_complete(
    tmp_path: Path, content: Tree | bytes, preset: str
) -> None:
    desk = Desk(tmp_path, grace="1s", complete=preset)
    fill(desk, "scan", content)
    desk.tell("scan")
    assert desk.look(0.9) == set()
    assert desk.look(0.2) == {"scan"}


def test_graces_go_by_side_by_side(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace="1s")
    names = {f"scan{number}" for number in range(300)}
    for name in names:
        fill(desk, name, b"1")
        desk.tell(name)
    assert desk.look(1.0) == names


def test_a_change_of_mode_or_time_after_the_rename_begins_the_grace_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace="1s")
    scan = fill(desk, "scan", b"1")
    desk.tell("scan")
    desk.look(0.9)
    scan.chmod(0o600)
    assert desk.look(0.9) == set()
    assert desk.look(0.3) == {"scan"}


def test_a_marker_has_a_grace_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, grace="3s", complete="marker", marker="READY")
    scan = fill(desk, "scan", {"IM1": b"1"})
    desk.tell("scan")
    desk.look(10)
    (scan / "READY").touch()
    assert desk.look(2.9) == set()
    assert desk.look(1.5) == {"scan"}


def test_trusting_names_waits_for_no_grace(tmp_path: Path) -> None:
    desk = Desk(tmp_path, trust_names=True, grace="1s")
    fill(desk, "scan", b"1")
    desk.completion.scanned(["scan"], desk.now)
    assert desk.look() == {"scan"}


# Kinds that a route does not take.

OTHER: list[dict[str, Any]] = [
    {"takes": "directories"},
    {"takes": "files"},
    {"complete": "marker", "marker": "READY"},
]


@pytest.mark.parametrize("route", OTHER, ids=str)
@pytest.mark.parametrize("how", HOWS)
def test_another_kind_is_handed_out_for_refusal_once_it_is_quiet(
    tmp_path: Path, route: dict[str, Any], how: str
) -> None:
    desk = Desk(tmp_path, **route)
    other = fill(desk, "other", {} if route.get("takes") == "files" else b"1")
    desk.tell("other", how)
    assert desk.look(4) == set()
    assert "does not take its kind" in desk.waiting()["other"]
    other.chmod(0o700)
    assert desk.look(4) == set()
    assert desk.look(2) == {"other"}


@pytest.mark.parametrize("option", [{"other_kinds": "ignore"}, {"leave_source": True}], ids=str)
def test_another_kind_can_stay_where_it_is(tmp_path: Path, option: dict[str, Any]) -> None:
    desk = Desk(tmp_path, takes="directories", **option)
    fill(desk, "note.txt", b"1")
    desk.completion.scanned(["note.txt"], desk.now)
    assert desk.look(DAY) == set()


def test_another_kind_under_a_temporary_name_is_on_its_way(tmp_path: Path) -> None:
    desk = Desk(tmp_path, takes="directories")
    fill(desk, "note.txt.part", b"1")
    desk.tell("note.txt.part", "created")
    assert desk.look(DAY) == set()
