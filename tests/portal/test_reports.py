"""The monthly report: its figures, who sees which, and its files."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdfium2
import pytest
from django.urls import reverse
from django.utils import timezone
from ulid import ULID

from browsing import Faults, SignedIn, findings_in_each_look
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.reports.figures import Report, quantile
from dropslot.reports.pdf_report import made
from payloads import body, events
from portals import Served, Site

BOTH_DATABASES = True


@pytest.fixture
def filled(site: Site) -> Site:
    """Of sam heart-1 (two files) and lung-1; of olga two results for north, of which one was fetched twice after 90
    minutes, one for south; bad, which was refused."""
    site.drop("study", "heart-1", {"a": b"a", "b": b"bb"})
    site.drop("study", "lung-1", {"a": b"ccc"})
    site.deliver("sam")
    for name in ("north-1.pdf", "north-2.pdf", "south-1.txt"):
        site.drop("results", name, b"%PDF-1.4 " + name.encode())
    site.drop("study", "bad", {"a": b"d"})
    site.deliver("olga")
    (first,) = Delivery.objects.filter(stored_as="north-1.pdf")
    for minutes in (90, 300):
        _fetch(first, first.arrival.dropped_at + timedelta(minutes=minutes))
    return site


def _fetch(delivery: Delivery, at: datetime, **more: Any) -> None:
    Acknowledgment.objects.create(
        id=str(ULID()), delivery=delivery, user="rita", address="10.0.0.1", at=at, evidence="whole", log="portal",
        line=b"", recorded_at=at, **more,
    )  # fmt: skip


def _report(site: Site, who: str) -> dict[str, Any]:
    month = f"{datetime.now(UTC):%Y-%m}"
    answer = site.client(who).get(reverse("dropslot:report_file", args=[month, "json"]))
    found: dict[str, Any] = json.loads(body(answer))
    return found


def _lines(site: Site, who: str) -> dict[str, list[Any]]:
    """Of each line: received, delivered, refused, files, bytes, fetched, median to fetch."""
    keys = ("received", "delivered", "refused", "files", "size_bytes", "fetched", "fetch_median")
    return {
        f"{line['route']} {line['value']}": [line[key] for key in keys]
        for line in _report(site, who)["lines"]
    }


def test_a_report_counts_what_became_of_each_arrival_and_file(filled: Site) -> None:
    assert _lines(filled, "adam") == {
        "results north": [2, 2, 0, 2, 40, 1, 5400],
        "results south": [1, 1, 0, 1, 20, 0, None],
        "study heart": [1, 1, 0, 2, 3, None, None],
        "study lung": [1, 1, 0, 1, 3, None, None],
        "study ": [1, 0, 1, 0, 0, None, None],
    }
    total = _report(filled, "adam")["total"]
    assert (total["received"], total["open"], total["files"], total["fetched"]) == (6, 0, 6, 1)
    assert 0 <= total["delivery_median"] <= total["delivery_p95"] < 600
    Acknowledgment.objects.update(undone_at=timezone.now())
    from dropslot.core import context

    context.renew()  # a minute later
    assert _report(filled, "adam")["total"]["fetched"] == 0


@pytest.mark.sqlite_only
def test_each_sees_what_its_role_sees(filled: Site) -> None:
    every = _lines(filled, "adam")
    assert _lines(filled, "sam") == {key: every[key] for key in ("study heart", "study lung")}
    assert list(_lines(filled, "stella")) == ["study heart"]
    assert _lines(filled, "rita") == {"results north": [0, 0, 0, 2, 40, 1, 5400]}
    assert _lines(filled, "nobody") == {}


def test_another_month_is_empty_and_days_are_those_of_the_time_zone(filled: Site) -> None:
    for arrival in Arrival.objects.filter(name="bad"):
        Arrival.objects.filter(pk=arrival.pk).delete()
    at = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    milliseconds = int(at.timestamp() * 1000).to_bytes(6, "big")
    lung = Arrival.objects.get(name="lung-1")
    lung.id, lung.dropped_at = str(ULID.from_bytes(milliseconds + bytes(10))), at
    lung.finished_at = at + timedelta(seconds=100)
    lung.save()
    page = body(filled.client("adam").get(reverse("dropslot:reports"), {"month": "2026-02"})).decode()
    assert "Report of February 2026" in page and "100 s" in page
    empty = body(filled.client("adam").get(reverse("dropslot:reports"), {"month": "2026-03"})).decode()
    assert "Nothing was received in March 2026" in empty


@pytest.mark.sqlite_only
def test_a_sheet_holds_no_formula_and_taking_it_out_is_an_event(filled: Site) -> None:
    Arrival.objects.filter(name="heart-1").update(fields={"study": "=HYPERLINK(1)"})
    month = f"{datetime.now(UTC):%Y-%m}"
    answer = body(filled.client("adam").get(reverse("dropslot:report_file", args=[month, "csv"]))).decode(
        "utf-8-sig"
    )
    values = [row["value"] for row in csv.DictReader(io.StringIO(answer))]
    assert "'=HYPERLINK(1)" in values and "=HYPERLINK(1)" not in values
    assert events("exported")[-1]["what"] == f"report {month} as csv"


@pytest.mark.sqlite_only
def test_a_hostile_name_is_text_on_the_page_and_in_the_pdf(filled: Site) -> None:
    Arrival.objects.filter(name="heart-1").update(fields={"study": "<b>&\u202e漢" + "x" * 300})
    page = body(filled.client("adam").get(reverse("dropslot:reports"))).decode()
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page and "\u202e" not in page
    month = f"{datetime.now(UTC):%Y-%m}"
    pdf = body(filled.client("adam").get(reverse("dropslot:report_file", args=[month, "pdf"])))
    text = "".join(each.get_textpage().get_text_range() for each in pypdfium2.PdfDocument(pdf))
    assert "<b>&" in text and "Report of" in text and "6 arrivals received" in text


@pytest.mark.sqlite_only
def test_a_long_report_has_its_heading_on_each_page(filled: Site) -> None:
    found = _report(filled, "adam")
    lines = found["lines"] * 60
    from dropslot.reports.figures import from_json

    report: Report = from_json({**found, "lines": lines})
    pages = [each.get_textpage().get_text_range() for each in pypdfium2.PdfDocument(made(report))]
    assert len(pages) > 4 and all("Study or clinic" in page for page in pages[1:4])


@pytest.mark.parametrize(
    ("counted", "share", "expected"),
    [
        ({}, 0.5, None),
        ({7: 1}, 0.95, 7),
        ({1: 1, 2: 1}, 0.5, 1),
        ({1: 95, 9: 5}, 0.95, 1),
        ({1: 94, 9: 6}, 0.95, 9),
    ],
)
def test_a_quantile_is_the_value_that_so_many_do_not_exceed(
    counted: dict[int, int], share: float, expected: int | None
) -> None:
    assert quantile(counted, share) == expected


@pytest.mark.sqlite_only
def test_the_page_in_a_browser(served: Served, signed_in: SignedIn, faults: Faults) -> None:
    served.product.drop("heart-1", {"a": b"a"})
    served.product.drain()
    page = signed_in("administrator")
    page.goto("/reports/")
    assert page.get_by_role("cell", name="heart").is_visible()
    assert findings_in_each_look(page) == []
