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


def refused(*lines: str) -> list[tuple[object, ...]]:
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
            "field folder is 'a/b', which is not a safe path component: the name contains a slash",
        ),
        ("/results,..,02,BHS", "field folder is '..', which is not a safe path component"),
        ("/results,.dropslot,02,BHS", "field folder is '.dropslot', which begins with a dot"),
        (
            "/results,a\x1b[31m,02,BHS",
            "folder is not a text of at most 1000 printable characters: a\\x1b[31m",
        ),
        ("/results,a,02,BHS,more", "it has 5 cells, and the header has 4"),
        ('/results,"a,02,BHS', "it cannot be split into cells: unexpected end of data"),
        (f"/results,{'a' * 2000},02,BHS", "folder is not a text of at most 1000"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_spoils_no_other(line: str, reason: str) -> None:
    found = read("\n".join([HEADER, "/results,a,01,BHS", line, "/results,c,03,BHS"]).encode())
    assert [each.folder for each in found.lines.values()] == ["a", "c"]
    assert [each.number for each in found.refused] == [3]
    assert found.refused[0].reason.startswith(reason) and found.refused[0].reason.isprintable()


@pytest.mark.parametrize(
    ("cell", "tag"),
    [
        ('="02"', "02"),
        ('"=""02"""', "02"),
        ('= "02"', "02"),
        ('="12.0"', "12.0"),
        ('="12-Jan"', "12-Jan"),
        ("'02", "02"),
        ("’02", "02"),
        ("'02'", "02"),
        ("“02”", "02"),
        ("„02“", "02"),
        ("«02»", "02"),
        ("\u00a002\u00a0", "02"),
        ("\u300002", "02"),
        ("066-12", "066-12"),
        ("12A", "12A"),
        ("1E5", "1E5"),
        ("MARS-12", "MARS-12"),
        ("may", "may"),
        ("#12", "#12"),
        ("NA", "NA"),
        ("12-34", "12-34"),
        ("2026", "2026"),
        ("1.2.840.10008", "1.2.840.10008"),
        ("O'Brien", "O'Brien"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
    ],
)
def test_what_a_spreadsheet_made_of_a_text_is_undone(cell: str, tag: str) -> None:
    assert folders(f"{HEADER}\n/r,a,{cell},BHS\n".encode()) == {("BHS", tag): "a"}


@pytest.mark.parametrize(
    "cell",
    [
        "12.0", '"12,0"', "2.00", "12.", "12-Jan", "Jan-12", "12. Jan", "1-Dec-26", "12-janv", "mars-12", "12-Mrz",
        "Okt 12", "12-JAN", "12/01", "12/01/2026", "1.2.2026", "12.01.", "12-01-26", "2026-01-12 00:00:00", "12:30",
        "0:12:00", "12:30 PM", "1.2E+10", "1E+05", '"6,6E+12"', '"1,200"', "1.200", "12’345", "#N/A", "#REF!", "#NV",
        "#WERT!", "#####", "12%", "$12.00", "Err:502", "=A1", '"=TEXT(2,""00"")"', "=02", "nan", "<NA>", "NULL", "'abc",
        "0\u200b2", "0\u00a02", "0\ufffd2", '"0\n2"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["folder_tag", "folder", "label"])
def test_what_it_cannot_be_is_refused_with_its_line(column: str, cell: str) -> None:
    cells = {"folder": "a", "folder_tag": "01", "label": "BHS"} | {column: cell}
    found = read(
        f"base_path,{','.join(cells)}\n/r,b,03,BHS\n/r,{','.join(cells.values())}\n/r,c,04,BHS".encode()
    )
    assert [line.folder for line in found.lines.values()] == ["b", "c"]
    assert [each.number for each in found.refused] == [3] and found.refused[0].reason.isprintable()
    assert column in found.refused[0].reason or "folder" in found.refused[0].reason


def test_tags_that_lost_their_zero_are_suspected() -> None:
    found = read(f"{HEADER}\n/r,a,02,BHS\n/r,b,3,BHS\n/r,c,12,bhs\n/r,d,4,HTC\n/r,e,x,BHS\n".encode())
    assert not found.refused and len(found.lines) == 5
    [(number, reason)] = found.suspected
    assert number == 3 and reason.startswith("folder_tag is 3, and line 2 has 02")


@pytest.mark.parametrize(
    ("encoding", "folder"),
    [
        ("mac-roman", "Käse"),
        ("cp1250", "Łódź"),
        ("iso8859-2", "Čáslav"),
        ("cp1251", "Клиника"),
        ("cp1252", "Käse"),
    ],
)
def test_letters_that_nobody_knows_are_suspected_aloud(encoding: str, folder: str) -> None:
    found = read(f"{HEADER}\n/r,a,02,BHS\n/r,{folder},03,BHS\n".encode(encoding))
    assert [each.number for each in (*found.suspected, *found.refused)] == [3]
    assert not found.suspected or "save it as CSV UTF-8" in found.suspected[0].reason
    assert read(f"{HEADER}\n/r,{folder},03,BHS\n".encode()).suspected == []


def test_digits_that_a_spreadsheet_did_not_keep_are_suspected() -> None:
    found = read(
        f"{HEADER}\n/r,a,1234567890123450,BHS\n/r,b,1234567890123456,BHS\n/r,c,123456789012340,BHS\n".encode()
    )
    assert [each.number for each in found.suspected] == [2] and "15 digits" in found.suspected[0].reason
    found = read(f"{HEADER}\n/r,Käse,02,BHS\n/r,b,1234567890123450,BHS\n".encode("cp1252"))
    assert [each.number for each in found.suspected] == [2, 3]


def test_letters_that_were_lost_before_are_suspected() -> None:
    found = read(f"{HEADER}\n/r,K\u00c3\u00a4se,02,BHS\n/r,K?se,03,BHS\n/r,Käse,04,BHS".encode())
    assert [each.number for each in found.suspected] == [2, 3]


@pytest.mark.parametrize(
    ("text", "loaded", "bad"),
    [
        ('/r,a,01,BHS,"two\nlines"\n/r,b,02,BHS,x\n', "ab", []),
        ('/r,a,01,BHS,"three\r\n\r\nlines, with, commas"\r\n/r,b,02,BHS,x\r\n', "ab", []),
        ('/r,a,01,BHS,"two\nlines"\n/r,b,02,BHS,"two\nlines"\n', "ab", []),
        ('/r,a,01,BHS,"never\n/r,b,02,BHS,x\n/r,c,03,BHS,x\n', "bc", [2]),
        ('/r,a,01,BHS,"never\n/r,b,02,BHS,x\n/r,c,03,BHS,ever"\n', "bc", [2]),
        ('/r,a,01,"B\nHS",x\n/r,b,02,BHS,x\n', "b", [2]),
        ('/r,"a\nb",01,BHS,x\n/r,b,02,BHS,x\n', "b", [2]),
    ],
)
def test_lines_within_a_cell_concern_that_cell_alone(text: str, loaded: str, bad: list[int]) -> None:
    found = read(f"{HEADER},remark\n{text}".encode())
    assert sorted(line.folder for line in found.lines.values()) == list(loaded)
    assert [each.number for each in found.refused] == bad


def test_lines_within_the_first_cell_and_the_header_are_taken_as_well() -> None:
    header = '"free\ntext",base_path,folder,"folder\ntag",label'
    assert folders(f'{header}\n"one\ntwo",/r,a,02,BHS\n"x",/r,b,03,BHS\n'.encode()) == {
        ("BHS", "02"): "a",
        ("BHS", "03"): "b",
    }


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\r\n/r,clinic é,02,BHS".encode("utf-16-le"),
        f"{HEADER}\r\n/r,clinic é,02,BHS".encode("utf-16-be"),
        HEADER.replace(",", "|").encode() + "\n/r|clinic é|02|BHS".encode(),
        b'"sep=|"\n' + f"{HEADER}\n/r,clinic é,02,BHS".replace(",", "|").encode(),
    ],
    ids=["UTF-16 LE", "UTF-16 BE", "bars", "sep=|"],
)
def test_odder_files_are_read_or_refused_as_a_whole(content: bytes) -> None:
    try:
        assert folders(content) == {("BHS", "02"): "clinic é"}
    except BadTable:
        assert b"|" in content and b"sep" not in content


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
        b"PK\x03\x04\x14\x00[Content_Types].xml",
    ],
)
def test_what_is_no_table_is_refused_as_a_whole_and_says_what_is_expected(content: bytes) -> None:
    with pytest.raises(BadTable) as caught:
        read(content)
    assert str(caught.value).isprintable()
    told = f"{caught.value.what} {caught.value.next_step}"
    assert "column" in told or "base_path,folder,folder_tag,label" in told or "CSV UTF-8" in told


@given(st.binary(max_size=300))
def test_no_content_makes_a_traceback(content: bytes) -> None:
    for each in (content, HEADER.encode() + b"\n" + content):
        try:
            found = read(each)
        except BadTable:
            continue
        assert all(line.folder.isprintable() and "/" not in line.folder for line in found.lines.values())
        assert all(line.reason.isprintable() for line in found.refused)


@pytest.mark.parametrize("mark", ["'", "’"])
def test_quotation_marks_without_number_make_no_traceback(mark: str) -> None:
    found = read(f"{HEADER}\n/r,{mark * 5000},02,BHS\n/r,{mark * 3000}a{mark * 3000},03,BHS\n".encode())
    assert [line.folder for line in found.lines.values()] == ["a"]
    assert [each.number for each in found.refused] == [2]
    with pytest.raises(BadTable):
        read(mark.encode() * 5000)
