"""What arrived this week for a study, and how to get the newest files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Max, QuerySet, Sum
from django.utils import timezone

from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.arrivals.listings.times_of_ids import first_id
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.config import Route
from dropslot.core.states import State
from dropslot.core.templates import Template
from dropslot.portal.homes.section import Section
from dropslot.portal.links import link

SHOWN = 50
_WEEK = timedelta(days=7)


class Came(NamedTuple):
    """One arrival of this week. `version` is the highest one that it made: above 1, it replaced nothing but is newer
    than a file with the same name."""

    arrival: Arrival
    version: int


def facts(access: Access) -> dict[str, Any]:
    """The arrivals of the last seven days, and what did not come through."""
    since = timezone.now() - _WEEK
    week = access.arrivals().filter(id__gte=first_id(since))
    done = week.filter(state=State.DONE)
    counted = done.order_by().aggregate(
        arrivals=Count("id"), items=Sum("items"), size_bytes=Sum("size_bytes")
    )
    newest = list(done.order_by("-id")[: SHOWN + 1])
    studies = [f"{grant.field}: {grant.value}" for grant in access.grants if grant.role == Role.STUDY_RUNNER]
    return {
        "came": _with_versions(newest[:SHOWN]),
        "more": len(newest) > SHOWN,
        "counted": counted,
        "on_the_way": list(_unfinished(week)[:10]),
        "studies": studies,
        "routes": _routes(access, newest),
        "zip": link("download_zip"),
        "urgent": False,
    }


def _with_versions(rows: Sequence[Arrival]) -> list[Came]:
    versions = dict(
        Delivery.objects.filter(arrival__in=rows).order_by().values_list("arrival").annotate(Max("version"))
    )
    return [Came(row, versions.get(row.id, 1)) for row in rows]


def _unfinished(week: QuerySet[Arrival]) -> QuerySet[Arrival]:
    return week.exclude(state=State.DONE).order_by("-id")


def _routes(access: Access, rows: Sequence[Arrival]) -> list[str]:
    """The routes that files of the study come through: what is seen of them, else those that have its field."""
    seen = sorted({row.route for row in rows})
    fields = {grant.field for grant in access.grants if grant.role == Role.STUDY_RUNNER}
    return seen or [route.key for route in access.routes({Role.STUDY_RUNNER}) if fields & _fields(route)]


def _fields(route: Route) -> set[str]:
    named = set(route.name.groupindex) if route.name else set()
    return named | Template(route.inbox).fields | {lookup.field for lookup in route.lookup}


SECTION = Section("study-runner", frozenset({Role.STUDY_RUNNER}), facts)
