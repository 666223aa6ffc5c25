"""Exports: the whole filter, nothing that a spreadsheet would run, and an event with the number of rows."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.urls import reverse

from dropslot.access.visit_trail import trail
from dropslot.acknowledgments.models import LogReading
from dropslot.arrivals.listings import queries
from dropslot.arrivals.models import Arrival
from dropslot.audit.models import Event
from dropslot.core.names import escape
from dropslot.core.showing.spreadsheets import cell
from dropslot.portal.pages.listing_pages import exports
from portals import Site

BOTH_DATABASES = True

# Names and contents that people have used to run formulas, break tables, pages, headers and terminals.
HOSTILE = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://elsewhere.example","x")',
    "+1+1",
    "-1+1",
    "-2+3+cmd|' /C calc'!D2",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(1)",
    "a;=1+1",
    "a;+1",
    "a;@x",
    "a\t=1+1",
    'a","=1+1',
    '";=1+1;"',
    "a,=1+1",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7*7 }}",
    "{% debug %}",
    "${7*7}",
    "' OR '1'='1",
    "'; DROP TABLE dropslot_arrival; --",
    "../../etc/passwd",
    "a\r\nSet-Cookie: x=y",
    "a\x00b",
    "\x1b[31mred",
    "\u202egnp.exe",
    "\ufeffa",
    "a\u200bb",
    "\u2028a",
    "é́́́́",
    "x" * 200,
)


@pytest.fixture
def hostile(site: Site) -> Site:
    """An arrival and a run of a log reader for each name, as they are stored."""
    assert len(HOSTILE) == 40
    site.drop("results", "north-1.txt")
    site.deliver()
    known = Arrival.objects.get()
    for number, name in enumerate(HOSTILE):
        known.pk = f"01KAAAAAAAAAAAAAAAAAAAAA{number:02}"
        known.name = known.sender = known.location = escape(name)[:150]
        known.fields = {"folder": escape(name)}
        known.state, known.reason = "failed", [escape(name)]
        known.save(force_insert=True)
        LogReading.objects.create(
            id=known.pk, route="results", log=escape(name), error=escape(name), started_at=known.received_at
        )
    return site


def export(site: Site, name: str, form: str, who: str = "olga", **query: str) -> str:
    """What the file holds."""
    answer = site.client(who).get(reverse("dropslot:export", args=[name, form]), query)
    assert answer.status_code == 200
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join(answer.streaming_content).decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_begins_as_a_formula(name: str) -> None:
    text = str(cell(name))
    for separator in ("", ";", "\t"):
        for part in text.split(separator) if separator else [text]:
            assert not part.startswith(("=", "+", "-", "@", "\r", "＝", "＋", "－", "＠")), text
    assert text.replace("'", "") == name.replace("'", "")


def test_numbers_stay_numbers() -> None:
    assert [cell(value) for value in (-1, 2.5, None, True)] == [-1, 2.5, None, True]


@pytest.mark.parametrize("page", ["arrivals", "log_readers"])
def test_hostile_names_are_safe_in_pages_and_exports(hostile: Site, page: str) -> None:
    shown = hostile.client("olga").get(reverse(f"dropslot:{page}")).content.decode()
    for text in ("<script>alert", "<img src=x", "<svg onload", "\x1b[31m", "\u202e"):
        assert text not in shown
    assert "&lt;script&gt;alert(1)" in shown
    table = list(csv.reader(io.StringIO(export(hostile, page, "csv").removeprefix("\ufeff"), newline="")))
    assert len({len(row) for row in table}) == 1
    for row in table[1:]:
        for text in row:
            assert not text.startswith(("=", "+", "@", "\t", "\r", "＝", "＋", "－", "＠"))
            assert not text.startswith("-") or text[1:].isdecimal()
    lines = [json.loads(line) for line in export(hostile, page, "json").splitlines()]
    key = "name" if page == "arrivals" else "error"
    assert {line[key] for line in lines} >= {
        escape(name)[:150] if page == "arrivals" else escape(name) for name in HOSTILE
    }


def test_json_has_the_keys_of_the_command(hostile: Site) -> None:
    lines = [json.loads(line) for line in export(hostile, "history", "json").splitlines()]
    assert lines == list(queries.history(queries.Filter()))
    lines = [json.loads(line) for line in export(hostile, "arrivals", "json").splitlines()]
    assert lines == list(queries.arrivals(queries.Filter()))[::-1]


def test_an_export_has_the_whole_filter_and_is_an_event(
    hostile: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_AT_ONCE", 7)
    text = export(hostile, "arrivals", "csv", state="failed")
    assert text.startswith("\ufeffid,route,name,")
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 41
    trail().record()
    event = Event.objects.get(kind="exported")
    data: dict[str, Any] = json.loads(event.data)
    assert (data["by"], data["what"], data["rows"]) == ("olga", "arrivals?state=failed", 40)


def test_an_export_is_read_as_it_is_sent(hostile: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_AT_ONCE", 5)
    answer = hostile.client("olga").get(reverse("dropslot:export", args=["arrivals", "json"]))
    assert isinstance(answer, StreamingHttpResponse)
    lines = iter(answer)
    next(lines)
    answer.close()  # the reader went away
    trail().record()
    assert json.loads(Event.objects.get(kind="exported").data)["rows"] < 5


@pytest.mark.parametrize(("who", "rows"), [("olga", 1), ("rita", 1), ("stella", 0), ("sam", 0)])
def test_an_export_has_only_what_the_role_sees(hostile: Site, who: str, rows: int) -> None:
    assert len(export(hostile, "history", "json", who).splitlines()) == rows


def test_what_cannot_be_exported_is_not_found(hostile: Site) -> None:
    for name, form, who in (
        ("arrivals", "xls", "olga"),
        ("elsewhere", "csv", "olga"),
        ("arrivals", "csv", "rita"),
        ("trail", "csv", "sam"),
        ("log_readers", "json", "nobody"),
    ):
        address = reverse("dropslot:export", args=[name, form])
        assert hostile.client(who).get(address).status_code == 404
    assert hostile.client("").get(reverse("dropslot:export", args=["arrivals", "csv"])).status_code == 302
