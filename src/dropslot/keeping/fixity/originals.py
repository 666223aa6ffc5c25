"""Compares the archives of arrivals that were read without a lease, and what was read in place, with what was
delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError
from django.db.models import Q, QuerySet

from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep import latewrites
from dropslot.arrivals.upkeep.latewrites import Digest
from dropslot.audit.verification_report import Report
from dropslot.config import Config
from dropslot.core.errors import DropslotError, SourceChanged
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.files.regular_files import sha256_of
from dropslot.keeping.fixity.digest_reader import nothing

PAGE = 2000


def check_archives(
    config: Config, *, read: bool, check: Callable[[], None] = nothing, digest: Digest = sha256_of
) -> Report:
    """Compare the archives of arrivals that were read without a lease: with `read` every item, otherwise only where
    names, sizes or times differ. If one was written to since, that is an alarm, and its content is delivered as the
    next version; an alarm of an earlier look is named once. `check` is called for each; what it raises ends this.
    `digest` reads, as for `latewrites.compare`."""
    report = Report()
    unleased = Q(evidence__has_key="unleased") & ~Q(archived_as="")
    untold = Q(evidence__has_key="heir") & ~Q(evidence__has_key="told")
    done = Arrival.objects.filter(state=State.DONE)
    for arrival in _paged(done.filter(unleased | untold)):
        check()
        _check_archive(config, report, arrival, digest, read=read)
    for arrival in _paged(done.filter(in_place=True)) if read else ():
        check()
        _check_in_place(config, report, arrival, digest)
    return report


def _paged(rows: QuerySet[Arrival]) -> Iterator[Arrival]:
    after = ""
    while page := list(rows.filter(id__gt=after).order_by("id")[:PAGE]):
        yield from page
        after = page[-1].id


def _check_in_place(config: Config, report: Report, arrival: Arrival, digest: Digest) -> None:
    where = f"{arrival.name} in {escape(arrival.inbox)}"
    try:
        if found := latewrites.compare_in_place(config, arrival, digest=digest):
            report.fault(where, latewrites.words(arrival, found))
            latewrites.revise(arrival, found)
    except SourceChanged:
        return  # it is there no more
    except (DropslotError, OSError, DatabaseError) as error:
        report.fault(where, _not_compared(error))
    report.checked += 1


def _not_compared(error: Exception) -> str:
    return f"it could not be compared with what was delivered, so it is not verified: {error}"


def _check_archive(config: Config, report: Report, arrival: Arrival, digest: Digest, *, read: bool) -> None:
    where = escape(arrival.archived_as) or f"{arrival.name} (arrival {arrival.id})"
    report.checked += 1
    try:
        found = latewrites.compare(arrival, read=read, digest=digest) if arrival.archived_as else []
        if found:
            latewrites.alarm(config, arrival, found)
        if found or not arrival.archived_as:
            report.fault(where, latewrites.words(arrival, found))
            latewrites.told(arrival)
    except SourceChanged:
        report.checked -= 1  # not moved to done yet, or taken out by hand
    except (DropslotError, OSError, DatabaseError) as error:
        report.fault(where, _not_compared(error))
