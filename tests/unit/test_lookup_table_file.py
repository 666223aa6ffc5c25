"""Folder tables as people and spreadsheets write them."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropslot.lookup.table_file import BadTable, read

HEADER = "base_path,folder,folder_tag,label"


def folders(content: bytes) -> dict[tuple[str, str], str]:
    found = read(content)
    assert not found.refused
    return {(line.label, line.folder_tag): line.folder for line in found.lines.values()}


def refused(*lines: str) -> list[tuple[int, str]]:
    return [tuple(each) for each in read("\n".join([HEADER, *lines]).encode()).refused]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n/results,clinic é,02,BHS\n".encode(),
        f"{HEADER}\r\n/results,clinic é,02,BHS\r\n".encode("utf-8-sig"),
        f"{HEADER}\r\n/results,clinic é,02,BHS".encode("cp1252"),
        f"{HEADER}\n/results,clinic é,02,BHS\n".encode("utf-16"),
        "\ufeffBase Path;FOLDER;folder-tag;Label\r\n/results;clinic é;02;BHS\r\n".encode(),
        "sep=;\r\nbase_path;folder;folder_tag;label\r\n/results;clinic é;02;BHS\r\n;;;\r\n".encode(),
        "label\tfolder\tbase_path\tfolder_tag\r/results\r".replace(
            "/results", "BHS\tclinic é\t/results\t02"
        ).encode(),
        '"base_path","folder","folder_tag","label","remark"\n"/results","clinic é","02","BHS","a, ""b"""\n'.encode(),
        f"\n{HEADER}\n\n /results , clinic é ,02, BHS ,,\n\n".encode(),
    ],
    ids=["plain", "Excel", "Latin 1", "UTF-16", "semicolons", "sep=", "tabs", "quoted", "blanks"],
)
def test_a_table_is_read_as_spreadsheets_write_it(content: bytes) -> None:
    assert folders(content) == {("BHS", "02"): "clinic é"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/results,,02,BHS", "folder is empty"),
        ("/results,a,,BHS", "folder_tag is empty"),
        ("/results,a,02", "label is empty"),
        (
            "/results,a/b,02,BHS",
            "field folder is 'a/b', which is no safe path part: the name contains a slash",
        ),
        ("/results,..,02,BHS", "field folder is '..', which is no safe path part"),
        ("/results,.dropslot,02,BHS", "field folder is '.dropslot', which begins with a dot"),
        ("/results,a\x1b[31m,02,BHS", "folder is no text of at most 1000 printable characters: a\\x1b[31m"),
        ("/results,a,02,BHS,more", "it has 5 cells, and the header has 4"),
        ('/results,"a,02,BHS', "it cannot be taken apart: unexpected end of data"),
        (f"/results,{'a' * 2000},02,BHS", "folder is no text of at most 1000"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_spoils_no_other(line: str, reason: str) -> None:
    found = read("\n".join([HEADER, "/results,a,01,BHS", line, "/results,c,03,BHS"]).encode())
    assert [each.folder for each in found.lines.values()] == ["a", "c"]
    assert [each.number for each in found.refused] == [3]
    assert found.refused[0].reason.startswith(reason) and found.refused[0].reason.isprintable()


def test_one_bad_byte_refuses_its_line_and_leaves_the_letters_of_the_others_alone() -> None:
    lines = [HEADER.encode(), "/r,clinic é,01,BHS".encode(), b"/r,clinic \xe9,02,BHS"]
    for content in (b"\n".join(lines), codecs.BOM_UTF8 + b"\n".join([lines[0], lines[2]])):
        found = read(content)
        assert {line.folder for line in found.lines.values()} <= {"clinic é"}
        assert [each.number for each in found.refused] == [content.count(b"\n") + 1]


def test_lines_that_contradict_each_other_are_all_refused() -> None:
    assert refused("/r,a,02,BHS", "/r,b,02,bhs", "/r,c,03,BHS", "/r,c,03,BHS", "/other,b,02,BHS") == [
        (2, "BHS 02 has the folder a here, and line 3 has b"),
        (3, "bhs 02 has the folder b here, and line 2 has a"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"folder,label\na,b\n",
        b"\x00\x01\x02",
        b"base_path,folder,folder,folder_tag,label\n",
        b"%PDF-1.4\n",
    ],
)
def test_what_is_no_table_is_refused_as_a_whole_and_says_what_is_expected(content: bytes) -> None:
    with pytest.raises(BadTable) as caught:
        read(content)
    assert str(caught.value).isprintable()
    assert "column" in caught.value.what or "base_path,folder,folder_tag,label" in caught.value.next_step


@given(st.binary(max_size=300))
def test_no_content_makes_a_traceback(content: bytes) -> None:
    for each in (content, HEADER.encode() + b"\n" + content):
        try:
            found = read(each)
        except BadTable:
            continue
        assert all(line.folder.isprintable() and "/" not in line.folder for line in found.lines.values())
        assert all(line.reason.isprintable() for line in found.refused)
