"""Every stored file against its SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from dropslot.audit import fixity
from dropslot.audit.report import Fault
from dropslot.core.errors import DestinationUnready

FILES = {"a": b"alpha", "empty": b"", "changed": b"new", "denied": b"", "away": b""}


def read(url: str, stored_as: str) -> Iterator[bytes]:
    if stored_as == "gone":
        raise FileNotFoundError(stored_as)
    if stored_as == "denied":
        raise PermissionError(13, "Permission denied")
    if stored_as == "away":
        raise DestinationUnready("no answer")
    content = FILES[stored_as]
    yield from (content[at : at + 2] for at in range(0, len(content), 2))


def row(name: str, content: bytes) -> tuple[str, str, str]:
    return "/studies/x/", name, sha256(content).hexdigest()


def test_files_that_are_as_delivered_are_well() -> None:
    report = fixity.check([row("a", b"alpha"), row("empty", b"")], read)
    assert report.ok and (report.checked, report.size_bytes) == (2, 5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone", "it is gone"),
        ("changed", "it was changed"),
        ("denied", "Permission denied"),
        ("away", "no answer"),
    ],
)
def test_each_file_that_is_not_proved_is_named(name: str, says: str) -> None:
    told: list[Fault] = []
    report = fixity.check([row("a", b"alpha"), row(name, b"old")], read, told.append)
    assert not report.ok and report.checked == 2
    assert told == report.faults and told[0].where == f"/studies/x/{name}" and says in told[0].what


@pytest.mark.parametrize("expected", ["", "0" * 64, "x"])
def test_a_malformed_digest_in_the_record_is_never_a_pass(expected: str) -> None:
    assert not fixity.check([("/studies", "a", expected)], read).ok


def test_an_error_of_the_record_itself_is_no_pass() -> None:
    def rows() -> Iterator[tuple[str, str, str]]:
        yield row("a", b"alpha")
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        fixity.check(rows(), read)


def test_a_destination_that_is_away_is_not_asked_for_every_file() -> None:
    asked: list[str] = []

    def note(url: str, stored_as: str) -> Iterator[bytes]:
        asked.append(f"{url}/{stored_as}")
        return read(url, stored_as)

    rows = [("sftp://a@b/c", "away", "0" * 64)] * 50 + [row("a", b"alpha")]
    report = fixity.check(rows, note)
    assert report.found == 50 and report.checked == 51
    assert asked == ["sftp://a@b/c/away"] * 3 + ["/studies/x//a"]
