"""Which names are temporary."""

from __future__ import annotations

import pytest

from dropslot.core.file_names.unfinished import is_unfinished
from dropslot.watching.temporary import TemporaryNames

# Given by the programs themselves; where a program draws letters by lot, several.
UNFINISHED = [
    # rsync, its folders, and the rsync of macOS
    ".IM2.dcm.6kVLuA",
    ".IM2.dcm.abcdeg",
    ".IM2.dcm.ABCDEF",
    ".scan.nii.gz.x1y2z3",
    ".IM 2 (copy).Zq8Zq8",
    ".~tmp~",
    ".rsync-partial",
    ".rsync-tmp",
    ".IM2.dcm.aB3dE6fG9h",
    "IM3.dcm.filepart",
    "IM3.dcm.FILEPART",
    "IM3.dcm.1a2b3c4d.partial",
    "IM3.dcm.partial",
    ".in.IM3.dcm",
    ".in.IM3.dcm.",
    "IM3.dcm.lftp",
    "IM3.dcm.lftp-pget-status",
    "IM3.dcm.crdownload",
    "Unconfirmed 420815.crdownload",
    ".com.google.Chrome.aB3dE6",
    "IM3.dcm.part",
    "IM3.dcm.opdownload",
    "IM3.dcm.download",
    "IM3.dcm.ocTransferId471142.part",
    ".IM3.dcm.~1a2b3c4d",
    ".IM3.dcm.~7f",
    ".syncthing.IM3.dcm.tmp",
    "~syncthing~IM3.dcm.tmp",
    "~WRD0001.tmp",
    "~DF1A2B3C.TMP",
    "4F2A9C10.tmp",
    "report.docx.sb-1a2b3c4d-Ab1cD2",
    ".scan.nii.gz.icloud",
    ".tmp.drivedownload",
    "IM3.dcm.aria2",
    "IM3.dcm.!ut",
    "IM3.dcm.!qB",
    "IM3.dcm.!sync",
    "IM3.dcm.cyberducksegment",
    "IM3.dcm-3f2a.ffs_tmp",
    "IM3.dcm_.gstmp",
    "IM3.dcm.C1eF0a9B",
    ".goutputstream-AB12CD",
    ".pureftpd-upload.5f3e2d1c.15.1a2b.3c4d5e6f",
    ".sftpgo-upload.cabc123.IM3.dcm",
    ".davfs.tmp1a2b3c",
    "bad\udcff.part",
    "line\nbreak.filepart",
]
DATA = [
    "IM2.dcm",
    ".hidden",
    ".gitignore",
    ".bashrc",
    ".bashrc.backup",
    ".sample.config",
    ".env.sample",
    ".env.production",
    ".gradle.properties",
    ".scan.202301",
    ".x.json",
    ".DS_Store",
    "._IM2.dcm",
    ".git",
    "scan.tmp",
    "scan.tmp1",
    "measurements.TMP",
    "notes~",
    "image.pd~",
    "~scan",
    "part",
    "download",
    ".part.txt",
    "x.part.pdf",
    "x.part1.rar",
    "partial",
    "scan.20230101",
    "scan.deadbeef",
    "scan.DEADBEEF",
    "scan.template",
    "wind.bts",
    "abcdefgh",
    "a-b.c-d",
    "~$letter.docx",
    ".~lock.table.ods#",
    "",
]


@pytest.mark.parametrize("name", UNFINISHED)
def test_name_of_what_is_under_way_is_unfinished_inside_of_a_folder_and_temporary_in_the_inbox(
    name: str,
) -> None:
    assert is_unfinished(name)
    assert TemporaryNames().match_inside(name)
    assert TemporaryNames().match(name)


@pytest.mark.parametrize("name", DATA)
def test_name_of_data_is_not_unfinished(name: str) -> None:
    assert not is_unfinished(name)


@pytest.mark.parametrize("name", ["IM3.dcm.part", ".hidden", "scan.tmp"])
def test_settled_inboxes_have_no_temporary_names_but_folders_have_unfinished_ones(name: str) -> None:
    names = TemporaryNames(usual=False)
    assert not names.match(name)
    assert names.match_inside(name) == (name == "IM3.dcm.part")


def test_a_pattern_with_an_exclamation_mark_takes_names_out() -> None:
    names = TemporaryNames(["!*.part", "*.wait", "!keep*"])
    assert not names.match("bolt.PART")
    assert not names.match_inside("bolt.part")
    assert names.match_inside("scan.wait")
    assert not names.match_inside("keep.wait")
    assert not names.match("keep.filepart")


@pytest.mark.parametrize(
    "name",
    [
        ".scan.nii",
        ".",
        "scan.tmp",
        "scan.TMP",
        "scan.tmp123",
        "scan.tmpA",
        "scan.pdf.part",
        "scan.filepart",
        "movie.crdownload",
        "letter.docx~",
        "image.pd~",
        "scan.pdf.ocTransferId4711.part",
        "line\nbreak.part",
        "bad\udcff.tmp",
    ],
)
def test_name_of_an_upload_under_way_is_temporary(name: str) -> None:
    assert TemporaryNames().match(name)


@pytest.mark.parametrize(
    "name", ["scan.nii.gz", "tmp", "part", "scan.tmp.nii", "my.part.pdf", "~scan", "partial", "scan.template"]
)
def test_final_name_is_not_temporary(name: str) -> None:
    assert not TemporaryNames().match(name)


def test_patterns_of_the_route_are_added_in_any_case() -> None:
    names = TemporaryNames(["*.partial", "upload-*"])
    assert names.match("SCAN.Partial")
    assert names.match("Upload-1")
    assert names.match(".hidden")
    assert not names.match("scan.pdf")
