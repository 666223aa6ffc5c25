"""What the command line says, and how it ends."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from dropslot import __version__
from dropslot.arrivals.upkeep.database import DatabaseUnready, words_for
from dropslot.cli import app, run
from dropslot.cli.output.exit_status import TRACEBACK_VARIABLE, UsageError, explain
from dropslot.cli.output.tables import Looks, show
from dropslot.config import ConfigError, Problem
from dropslot.core.errors import DiskFull
from dropslot.core.showing.quantities import counted


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ConfigError([Problem("data", 5, "expected a path", 3)], "config.yaml"), 2, "line 3: data is 5"),
        (UsageError("That cannot work"), 2, "That cannot work."),
        (DiskFull("The disk is full", next_step="Make room"), 1, "The disk is full. Make room."),
        (DatabaseUnready("It is newer"), 1, "It is newer."),
        (OperationalError("database is locked"), 1, "locked by another process"),
        (
            PermissionError(13, "Permission denied", "/srv/\x1b[31mred"),
            1,
            r"Permission denied at /srv/\x1b[31mred",
        ),
        (RuntimeError("a\nbug"), 1, TRACEBACK_VARIABLE),
    ],
)
def test_every_error_is_words_and_a_status(
    error: Exception, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(error) == status
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_a_traceback_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("bug")
    explain(caught.value)
    assert "test_cli.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("file is not a database"), "corrupt"),
        (OperationalError("database disk image is malformed"), "corrupt"),
        (OperationalError("database is locked"), "Try again"),
        (OperationalError("unable to open database file"), "service's account"),
        (OperationalError("attempt to write a readonly database"), "read-only"),
        (OperationalError("database or disk is full"), "free space"),
        (
            OperationalError('connection failed: password authentication failed for user "x"'),
            "DROPSLOT_DATABASE_PASSWORD",
        ),
        (OperationalError("connection failed: Connection refused\nIs it up?"), "does not answer"),
        (ImproperlyConfigured("Error loading psycopg2 or psycopg module"), "dropslot[postgres]"),
        (OperationalError("something else"), "something else"),
        (OperationalError(""), "OperationalError"),
    ],
)
def test_errors_of_the_database_say_what_to_do(error: Exception, words: str) -> None:
    assert words in words_for(error)


ROWS = [
    {
        "name": "a[red]b\x1b[31m",
        "reason": ["one", "two"],
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "took": timedelta(seconds=1.5),
        "path": Path("/x"),
        "fields": {"study": "heart"},
        "none": None,
    }
]


def test_json_is_one_safe_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS * 2, ["name"], Looks(True))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[0]
    found = json.loads(lines[0])
    assert (found["at"], found["took"], found["path"]) == ("2026-01-02T03:04:05Z", 1.5, "/x")
    assert found["name"] == ROWS[0]["name"]


def test_tables_show_names_escaped_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show([*ROWS, {"name": "x" * 500}], ["name", "reason", "fields", "none"], Looks(False))
    said = capsys.readouterr().out
    assert r"a[red]b\x1b[31m" in said
    assert "one; two" in said
    assert "study=heart" in said
    assert "x" * 500 in said


def test_a_terminal_gets_words_unbroken_and_times_in_utc(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    text = "the message to json://127.0.0.1:8477/… was not sent, and is not tried again"
    rows = [{"name": "a", "at": ROWS[0]["at"], "what": text}]
    show(rows, ["name", "at"], Looks(False, no_pager=True), below=["what"])
    lines = capsys.readouterr().out.splitlines()
    assert "2026-01-02 03:04Z" in lines[1] and max(map(len, lines)) <= 40
    assert " ".join(line.strip() for line in lines[2:]) == text


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show([], ["name"], Looks(False), empty="No arrivals yet.")
    assert capsys.readouterr().out == "No arrivals yet.\n"


def test_every_command_has_short_help_that_is_listed_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["--help"]) == 0
    whole = capsys.readouterr().out
    assert run(["-h"]) == 0
    said = capsys.readouterr().out
    assert said == whole
    assert "..." not in said.partition("Commands:")[2]
    assert max(map(len, said.splitlines())) <= 80
    for name in app.names():
        assert run([name, "-h"]) == 0
    pages = capsys.readouterr().out
    assert max(map(len, pages.splitlines())) <= 80
    assert not re.search(r"<(?:list|str|path)\b", pages), "types of Python say nothing to people"


def test_counts_agree_with_what_is_counted() -> None:
    assert counted(1, "entry") == "1 entry"
    assert counted(2_000, "entry") == "2,000 entries"
    assert counted(0, "arrival") == "0 arrivals"


def test_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"dropslot {__version__}\n"


def test_columns_without_a_value_are_left_out_and_times_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        [{"id": "1", "none": None, "seen_at": "2026-11-29T00:19:37.116Z"}],
        ["id", "none", "seen_at"],
        Looks(False),
    )
    assert capsys.readouterr().out == "id  seen at\n1   2026-11-29 00:19Z\n"


def test_what_doctor_shows_does_not_advise_to_run_doctor() -> None:
    source = Path(__file__).parents[2] / "src/dropslot"
    rooms = [source / name for name in ("destinations", "acknowledgments", "storage", "lookup")]
    files = [source / "arrivals/intake/claim.py", *(file for room in rooms for file in room.rglob("*.py"))]
    assert [file for file in files if "dropslot doctor" in file.read_text()] == []
