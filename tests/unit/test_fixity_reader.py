"""Stored files are read, and what cannot be read is never taken for intact."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from typing import ClassVar

import pytest

from dropslot.core.errors import DestinationUnready, StorageFault
from dropslot.files import faults
from dropslot.keeping.fixity import digest_reader, put_off
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.fixity.fixity_report import FixityReport, Seen, StoredFile


class Shelf(Reader):
    """Files that are named for what happens when they are read."""

    FILES: ClassVar = {"a": b"alpha", "changed": b"new"}

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def digest(self, url: str, name: str) -> str | None:
        self.asked.append(name)
        if name == "denied":
            raise PermissionError(13, "Permission denied")
        if name == "away":
            raise DestinationUnready("no answer")
        if name == "torn":
            raise StorageFault("input/output error")
        return sha256(self.FILES[name]).hexdigest() if name in self.FILES else None


def file(name: str, content: bytes, id: int = 1, url: str = "/studies/x/") -> StoredFile:
    return StoredFile(id, "01JE", url, name, sha256(content).hexdigest(), len(content))


def look(*files: StoredFile) -> list[Seen]:
    with Shelf() as shelf:
        return list(shelf.look(files))


def test_files_are_given_in_order_with_what_was_found() -> None:
    files = [file("a", b"alpha", id) for id in range(300)]
    assert [(seen.file.id, seen.fault) for seen in look(*files)] == [(id, "") for id in range(300)]


@pytest.mark.parametrize(
    ("name", "says", "is_away"),
    [
        ("gone", "it is gone", False),
        ("changed", "it was changed", False),
        ("denied", "Permission denied", False),
        ("torn", "input/output error", False),
        ("away", "no answer", True),
    ],
)
def test_each_file_that_is_not_proved_is_named(name: str, says: str, is_away: bool) -> None:
    report = FixityReport()
    for seen in look(file("a", b"alpha"), file(name, b"old")):
        report.add(seen)
    assert report.checked == 2 and says in report.faults[0].what
    assert report.faults[0].where == f"/studies/x/{name}" and seen.is_away == is_away


@pytest.mark.parametrize(
    ("number", "is_network", "is_away"),
    [
        (errno.ESTALE, False, True),
        (errno.EHOSTDOWN, False, True),
        (errno.ENOTCONN, False, True),
        (errno.EKEYEXPIRED, False, True),
        (errno.EIO, True, True),
        (errno.EIO, False, False),
        (errno.EACCES, True, False),
    ],
)
def test_a_network_file_system_that_does_not_answer_says_nothing_about_its_files(
    monkeypatch: pytest.MonkeyPatch, number: int, *, is_network: bool, is_away: bool
) -> None:
    monkeypatch.setattr(digest_reader, "_is_on_network", lambda _: is_network)
    raw = OSError(number, os.strerror(number))
    typed = faults.at_destination(raw, "reading x")
    typed.__cause__ = raw
    for error in (raw, typed) if number != errno.EACCES else (raw,):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with Shelf() as shelf:
            monkeypatch.setattr(shelf, "digest", fail)
            seen = shelf.seen(file("a", b"alpha"))
        assert seen.is_away == is_away and seen.fault and not seen.found


@pytest.mark.parametrize("expected", ["", "0" * 64, "x"])
def test_a_malformed_digest_in_the_record_is_never_a_pass(expected: str) -> None:
    assert look(file("a", b"alpha")._replace(sha256=expected))[0].fault


def test_a_destination_that_is_away_is_not_asked_for_every_file() -> None:
    away = [file("away", b"", id, "sftp://a@b/c") for id in range(50)]
    with Shelf() as shelf:
        found = [*shelf.look(away), *shelf.look([file("a", b"alpha")])]
        assert shelf.asked == ["away"] * 3 + ["a"]
        assert all(one.is_away for one in found[:50]) and not found[50].fault


def test_what_was_put_off_is_kept_as_ranges_until_it_is_read() -> None:
    def seen(id: int, place: str, away: bool) -> Seen:
        return Seen(file("a", b"", id, place), fault="x" if away else "", is_away=away)

    later: put_off.PutOff = {}
    put_off.add(later, [seen(1, "/x", True), seen(2, "/y", False), seen(3, "/x", True)])
    put_off.add(later, [seen(4, "/x", True), seen(5, "/x", False), seen(9, "/x", True)])
    assert later["/x"]["ranges"] == [[1, 4], [9, 9]] and later.keys() == {"/x"}
    assert put_off.done_up_to(later, "/x", 2)["/x"]["ranges"] == [[3, 4], [9, 9]]
    assert list(put_off.places(later)) == [("/x", 3, 4)]
    assert put_off.done_up_to(put_off.done_up_to(later, "/x", 4), "/x", 9) == {}
