"""Sets of folders, as they are on the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from configurations import config
from dropslot.config import Route, folder_sets


def with_field(base: Path, folders: str = "./drop/{study}") -> Route:
    return config(base=base, folders=folders, deliver=[{"to": "./out/{study}"}]).routes["study"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_route_without_a_field_has_one_set_and_its_folders_are_made(tmp_path: Path) -> None:
    route = config(base=tmp_path).routes["study"]
    (found,) = folder_sets(route)
    assert found.inbox == tmp_path / "study/inbox"
    assert found.fields == {}
    assert mode(found.inbox) == 0o3773
    assert {mode(path) for path in (found.processing, found.done, found.failed)} == {0o700}
    assert hash(found) == hash(folder_sets(route)[0])


def test_looking_only_makes_nothing(tmp_path: Path) -> None:
    assert len(folder_sets(config(base=tmp_path).routes["study"], make=False)) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_where_a_disk_may_be_missing(tmp_path: Path) -> None:
    route = config(base=tmp_path, folders="./mnt/disk/study").routes["study"]
    assert len(folder_sets(route)) == 1
    assert list(tmp_path.iterdir()) == []


def test_modes_of_folders_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "study/inbox").mkdir(parents=True)
    (tmp_path / "study/inbox").chmod(0o1770)
    (found,) = folder_sets(config(base=tmp_path).routes["study"])
    assert mode(found.inbox) == 0o1770


def test_each_matching_folder_is_a_set_and_new_ones_are_noticed(tmp_path: Path) -> None:
    route = with_field(tmp_path)
    assert folder_sets(route) == []
    (tmp_path / "drop/heart/inbox").mkdir(parents=True)
    assert [found.fields for found in folder_sets(route)] == [{"study": "heart"}]
    (tmp_path / "drop/brain/inbox").mkdir(parents=True)
    found = folder_sets(route)
    assert [entry.fields["study"] for entry in found] == ["brain", "heart"]
    assert found[0].processing == tmp_path / "drop/brain/processing"
    assert mode(found[0].processing) == 0o700


def test_a_folder_without_inbox_is_no_set_and_gets_none(tmp_path: Path) -> None:
    (tmp_path / "drop/heart").mkdir(parents=True)
    assert folder_sets(with_field(tmp_path)) == []
    assert list((tmp_path / "drop/heart").iterdir()) == []


def test_links_files_and_unsafe_names_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "inbox").mkdir(parents=True)
    drop = tmp_path / "drop"
    for name in ("good", ".hidden", "new\nline", os.fsdecode(b"latin-\xe9"), "\u202egpj", ".dropslot"):
        (drop / name / "inbox").mkdir(parents=True)
    (drop / "linked").symlink_to(outside)
    (drop / "inner").mkdir()
    (drop / "inner/inbox").symlink_to(outside / "inbox")
    (drop / "file").write_text("")
    assert [found.fields["study"] for found in folder_sets(with_field(tmp_path))] == ["good"]


def test_fields_within_names_and_several_of_them(tmp_path: Path) -> None:
    for name in ("lab-a/x-heart", "lab-b/x-brain", "other/x-lung", "lab-a/lung"):
        (tmp_path / name / "inbox").mkdir(parents=True)
    found = folder_sets(with_field(tmp_path, "./lab-{lab}/x-{study}"))
    assert [dict(entry.fields) for entry in found] == [
        {"lab": "a", "study": "heart"},
        {"lab": "b", "study": "brain"},
    ]


def test_a_folder_whose_name_has_braces_is_found(tmp_path: Path) -> None:
    base = tmp_path / "{base}"
    (base / "drop/heart/inbox").mkdir(parents=True)
    assert [found.inbox for found in folder_sets(with_field(base))] == [base / "drop/heart/inbox"]
