"""A recipient's results: those that nobody has fetched yet first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, QuerySet

from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Delivery
from dropslot.core.states import Outcome
from dropslot.portal.homes.section import Section
from dropslot.portal.links import link

SHOWN = 50


class Result(NamedTuple):
    """One delivery; its pages are empty where there are none. `fetch` is the first one."""

    delivery: Delivery
    open: str
    download: str
    fetch: Acknowledgment | None = None


def facts(access: Access) -> dict[str, Any]:
    """New results, then those that were fetched."""
    rows = access.payloads().filter(outcome=Outcome.DELIVERED).select_related("arrival", "place")
    new = list(_by_fetch(rows, fetched=False)[: SHOWN + 1])
    return {
        "new": [_result(row) for row in new[:SHOWN]],
        "more": len(new) > SHOWN,
        "fetched": list(_fetched(list(_by_fetch(rows, fetched=True)[:SHOWN]))),
        "zip": link("download_zip"),
        "folders": sorted({grant.folder for grant in access.grants if grant.folder}),
        "urgent": bool(new),
    }


def _by_fetch(rows: QuerySet[Delivery], *, fetched: bool) -> QuerySet[Delivery]:
    standing = Exists(Acknowledgment.objects.filter(delivery=OuterRef("pk"), undone_at__isnull=True))
    return rows.filter(standing if fetched else ~standing).order_by("-pk")


def _fetched(rows: Sequence[Delivery]) -> Iterator[Result]:
    firsts: dict[int, Acknowledgment] = {}
    standing = Acknowledgment.objects.filter(delivery__in=rows, undone_at__isnull=True).order_by("at", "id")
    for ack in standing:
        firsts.setdefault(ack.delivery_id, ack)
    for row in rows:
        yield _result(row, firsts.get(row.pk))


def _result(row: Delivery, fetch: Acknowledgment | None = None) -> Result:
    return Result(row, link("open", row.pk), link("download", row.pk), fetch)


SECTION = Section("recipient", frozenset({Role.RECIPIENT}), facts)
