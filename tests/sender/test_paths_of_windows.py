"""Paths as Windows has them: drive letters, shares, long ones, and names that it keeps for itself."""

from __future__ import annotations

from pathlib import PureWindowsPath

import pytest

from dropslot.core.errors import DropslotError
from dropslot.sender.local_paths import reachable, shown_path
from dropslot.sender.new_files.storable import fault_on_windows, unstorable
from dropslot.sender.plan import NewFile
from dropslot.sender.presets import preset_parser

LONG = "\\".join(["C:", *["recordings of a long study"] * 10, "s01.edat3"])
ON_SHARE = "\\".join([r"\\server\share", *["recordings of a long study"] * 10, "s01.edat3"])


def test_a_long_path_gets_the_mark_that_windows_needs_and_still_names_the_same_file() -> None:
    marked, on_share = reachable(LONG, "win32"), reachable(ON_SHARE, "win32")
    assert marked == f"\\\\?\\{LONG}"
    assert on_share == f"\\\\?\\UNC{ON_SHARE[1:]}"
    assert PureWindowsPath(marked).parts[1:] == PureWindowsPath(LONG).parts[1:]
    assert PureWindowsPath(on_share).name == "s01.edat3"
    for path in (marked, on_share, r"\\.\COM1" + "x" * 300, r"C:\EPrime\s01.edat3"):
        assert reachable(path, "win32") == path
    assert reachable("/" + "long/" * 100, "linux") == "/" + "long/" * 100


def test_people_see_a_path_as_they_know_it_and_no_control_character() -> None:
    assert shown_path(r"C:\EPrime\s01.edat3", "win32") == r"C:\EPrime\s01.edat3"
    assert shown_path(PureWindowsPath("C:/EPrime"), "win32") == r"C:\EPrime"
    assert shown_path(reachable(LONG, "win32"), "win32") == LONG
    assert shown_path(reachable(ON_SHARE, "win32"), "win32") == ON_SHARE
    assert shown_path("C:\\a\x1b[31m\u202eb", "win32") == "C:\\a\\x1b[31m\\u202eb"
    assert shown_path("/srv/a\\b", "linux") == r"/srv/a\x5cb"  # there, it is a part of a name


@pytest.mark.parametrize(
    "path", [r"C:\EPrime\heart", r"\\server\share\heart", r"\\?\C:\heart", "d:/heart", "/srv/heart"]
)
def test_a_whole_path_of_either_system_is_a_folder_of_a_preset(path: str) -> None:
    folder = preset_parser.parse(_preset(path), "settings.yaml").presets["heart"].folders[0]
    assert PureWindowsPath(str(folder.path)) == PureWindowsPath(path)


@pytest.mark.parametrize("path", [r"C:heart", r"\heart", "heart", r"EPrime\heart"])
def test_a_path_that_depends_on_where_the_program_was_started_is_refused(path: str) -> None:
    with pytest.raises(DropslotError, match="expected a whole path"):
        preset_parser.parse(_preset(path), "settings.yaml")


def _preset(path: str) -> str:
    return f"presets: {{heart: {{to: sftp://drop.lab.example/inbox, folders: {{eprime: '{path}'}}}}}}"


def test_names_that_windows_keeps_for_itself_or_changes_are_found() -> None:
    bad = ["CON", "nul.txt", "Aux.tar.gz", "com1", "LPT9.log", "COM²", "CONIN$"]
    bad += ["a:b", "a<b", "a?", "a*b", "a|b", 'a"b', "a\\b"]
    bad += ["ends in a blank ", "ends in a period.", "prn ", "nul .txt", "..."]
    assert [name for name in bad if fault_on_windows(name) is None] == []
    good = ["CONSOLE", "com10", "null", "a.con", "com", ".hidden", "a b.txt", "naïve (1).edat3", "COM0x"]
    assert [name for name in good if fault_on_windows(name)] == []


def test_such_a_name_is_left_with_the_way_out_unless_the_preset_allows_it() -> None:
    files = [
        NewFile(f"/data/{name}", f"eprime/{name}", 1, 1) for name in ("aux.txt", "back\\slash", "fine.txt")
    ]
    left = list(unstorable(files, portable=True))
    assert [each.path for each in left] == ["eprime/aux.txt", "eprime/back\\slash"]
    assert all("names: any" in each.reason for each in left)
    assert list(unstorable(files, portable=False)) == []
