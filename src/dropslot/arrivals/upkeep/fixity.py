"""Compares every stored file with the SHA-256 with which it was delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db import DatabaseError
from django.db.models import Q, QuerySet

from dropslot.arrivals.models import Arrival, Delivery
from dropslot.arrivals.upkeep import latewrites
from dropslot.audit import fixity
from dropslot.audit.report import Report
from dropslot.config import Config
from dropslot.core.errors import DropslotError, SourceChanged
from dropslot.core.names import escape
from dropslot.core.states import Outcome, State
from dropslot.destinations import for_url, read

PAGE = 2000
_Row = tuple[str, str, str]  # destination, stored path, SHA-256


def check_all(report: fixity.FixityReport | None = None) -> fixity.FixityReport:
    """Read every file that a finished arrival delivered, once each; what cannot be read back is counted apart. `report`
    is filled while it goes on."""
    acknowledged: Counter[str] = Counter()
    report = fixity.check(_readable(_rows(), acknowledged), read, report=report)
    report.acknowledged = acknowledged.total()
    return report


def _readable(rows: Iterator[_Row], others: Counter[str]) -> Iterator[_Row]:
    can_be_read: dict[str, bool] = {}
    for row in rows:
        url = row[0]
        if url not in can_be_read:
            can_be_read[url] = _can_be_read(url)
        if can_be_read[url]:
            yield row
        else:
            others[url] += 1


def _can_be_read(url: str) -> bool:
    try:
        return for_url(url).can_be_read
    except DropslotError:
        return True  # reading it says what is wrong


def check_archives(config: Config, *, read: bool) -> Report:
    """Compare the archives of arrivals that were read without a lease: with `read` every item, otherwise only where
    names, sizes or times differ. If one was written to since, that is an alarm, and its content is delivered as the
    next version; an alarm of an earlier look is named once."""
    report = Report()
    unleased = Q(evidence__has_key="unleased") & ~Q(archived_as="")
    untold = Q(evidence__has_key="heir") & ~Q(evidence__has_key="told")
    done = Arrival.objects.filter(state=State.DONE)
    for arrival in _paged(done.filter(unleased | untold)):
        _check_archive(config, report, arrival, read=read)
    for arrival in _paged(done.filter(in_place=True)) if read else ():
        _check_in_place(config, report, arrival)
    return report


def _paged(rows: QuerySet[Arrival]) -> Iterator[Arrival]:
    after = ""
    while page := list(rows.filter(id__gt=after).order_by("id")[:PAGE]):
        yield from page
        after = page[-1].id


def _check_in_place(config: Config, report: Report, arrival: Arrival) -> None:
    where = f"{arrival.name} in {escape(arrival.inbox)}"
    try:
        if found := latewrites.compare_in_place(config, arrival):
            report.fault(where, latewrites.words(arrival, found))
            latewrites.revise(arrival, found)
    except SourceChanged:
        return  # it is there no more
    except (DropslotError, OSError, DatabaseError) as error:
        report.fault(where, _not_compared(error))
    report.checked += 1


def _not_compared(error: Exception) -> str:
    return f"it could not be compared with what was delivered, so it is not verified: {error}"


def _check_archive(config: Config, report: Report, arrival: Arrival, *, read: bool) -> None:
    where = escape(arrival.archived_as) or f"{arrival.name} (arrival {arrival.id})"
    report.checked += 1
    try:
        found = latewrites.compare(arrival, read=read) if arrival.archived_as else []
        if found:
            latewrites.alarm(config, arrival, found)
        if found or not arrival.archived_as:
            report.fault(where, latewrites.words(arrival, found))
            latewrites.told(arrival)
    except SourceChanged:
        report.checked -= 1  # not moved to done yet, or taken out by hand
    except (DropslotError, OSError, DatabaseError) as error:
        report.fault(where, _not_compared(error))


def stored() -> QuerySet[Delivery]:
    """What `check_all` looks for: each stored file once."""
    return Delivery.objects.filter(outcome=Outcome.DELIVERED, arrival__state=State.DONE)


def _rows() -> Iterator[_Row]:
    """By pages: SQLite could not empty its write-ahead log during a read of several hours."""
    rows = stored().order_by("id")
    after = 0
    while page := list(
        rows.filter(id__gt=after).values_list("id", "place__url", "stored_as", "sha256")[:PAGE]
    ):
        yield from (row[1:] for row in page)
        after = page[-1][0]
