"""What is late about acknowledgments, for `health`: log readers that do not get on, and deliveries that nobody fetched
in time, of each study by itself, so that its people can be told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.utils import timezone

from dropslot.acknowledgments import unfetched
from dropslot.acknowledgments.history_columns import Unacknowledged
from dropslot.acknowledgments.matching.delivery_finder import destination_of
from dropslot.acknowledgments.models import LogReading, Unfetched
from dropslot.acknowledgments.schedule import LONGEST_WAIT_SECONDS
from dropslot.acknowledgments.section import Acknowledge, entries
from dropslot.arrivals.models import Delivery
from dropslot.arrivals.registry import Late
from dropslot.config import Config, Route
from dropslot.core.names import escape
from dropslot.core.showing.amounts import lasting
from dropslot.core.showing.quantities import counted
from dropslot.core.states import State
from dropslot.core.templates import Template
from dropslot.core.troubles import TroubleKind

_COUNTED = 1000


def late(config: Config) -> Iterator[Late]:
    """Logs whose last reading failed. Each failure is a row and a success without new lines is none, so an old
    failure has been overcome. And deliveries that waited longer than `late_after` to be fetched."""
    now = timezone.now()
    for route, entry in entries(config):
        rows = LogReading.objects.filter(route=route.key, log=entry.log)
        last = rows.order_by("-id").first()
        again = max(entry.every, timedelta(seconds=LONGEST_WAIT_SECONDS))
        if last is not None and last.error and last.started_at > now - 2 * again:
            about = f"log {escape(entry.log)}"
            what = f"it could not be read: {last.error}"
            yield Late(about, what, "dropslot log_readers", route.key, kind=TroubleKind.LOG_READER)
        if entry.late_after is not None:
            yield from _not_fetched(route, entry, entry.late_after, now)


def _not_fetched(route: Route, entry: Acknowledge, limit: timedelta, now: datetime) -> Iterator[Late]:
    to = destination_of(route, entry)
    rows = _waiting(route, Unacknowledged({route.key: [Template(to)]}, now - limit))
    by_study: dict[str, list[Delivery]] = {}
    for row in rows[:_COUNTED]:
        by_study.setdefault(str(row.arrival.fields.get("study") or ""), []).append(row)
    more = "at least " if len(rows) > _COUNTED else ""
    for study, some in by_study.items():
        first = min(finished for row in some if (finished := row.arrival.finished_at))
        what = (
            f"{more}{counted(len(some), 'delivery')} not fetched for more than"
            f" {lasting(limit.total_seconds())}, the oldest for {lasting((now - first).total_seconds())}"
        )
        remedy = f"dropslot history --unacknowledged --route {route.key}; then ask the recipients"
        about = f"fetching{f' study {escape(study)}' if study else ''} from {escape(to)}"
        kind = TroubleKind.UNACKNOWLEDGED
        yield Late(about, what, remedy, route.key, kind=kind, study=study, since=first + limit)


def _waiting(route: Route, only: Unacknowledged) -> list[Delivery]:
    """The oldest ones, one more than are counted at most."""
    done = Delivery.objects.filter(arrival__route=route.key, arrival__state=State.DONE)
    if unfetched.has_begun():
        oldest = Unfetched.objects.filter(route=route.key).order_by("delivery")
        done = done.filter(pk__in=list(oldest.values_list("delivery", flat=True)[: _COUNTED + 1]))
    rows = only.narrow(done).select_related("arrival", "place").order_by("pk")
    return list(islice(filter(only.keeps, rows.iterator(200)), _COUNTED + 1))
