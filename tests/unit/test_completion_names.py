"""Which names are temporary."""

from __future__ import annotations

import pytest

from dropslot.watching.temporary import TemporaryNames


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
