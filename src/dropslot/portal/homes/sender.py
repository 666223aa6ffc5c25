"""A sender's own uploads: what became of each, and what to do about those that were refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.utils import timezone

from dropslot.access.followed import followed
from dropslot.access.roles import Role
from dropslot.access.seen import Access
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.delivery.refusal_reason import ENDED
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.core.states import Outcome, State
from dropslot.portal.homes.section import Section

SHOWN = 30
_REFUSALS_OF = timedelta(days=14)
STEPS = ("Waiting", "Checked", "Sent", "Fetched")


@dataclass(frozen=True, slots=True)
class Sent:
    """One upload. `step` counts the STEPS that are behind it; `fetched` of `items` were fetched."""

    arrival: Arrival
    step: int
    items: int = 0
    fetched: int = 0
    fetched_by: str = ""
    fetched_at: datetime | None = None
    name_help: str = ""
    is_followed: bool = True  # whether it is known what of its route is fetched

    @property
    def steps(self) -> list[tuple[str, bool]]:
        """Each step, and whether it is behind."""
        known = STEPS if self.is_followed or self.fetched else STEPS[:-1]
        return [(name, number < self.step) for number, name in enumerate(known)]


def facts(access: Access) -> dict[str, Any]:
    """The newest uploads, and those in the inbox that nobody has taken yet."""
    own = access.sent().order_by("-id")
    rows = list(own[:SHOWN])
    refused = [row for row in _not_sent_again(rows) if _is_open_refusal(row)]
    sent = list(_sent(access, [row for row in rows if row not in refused]))
    in_inbox = list(access.put().order_by("-at")[:SHOWN])
    return {
        "refused": [_refusal(access, row) for row in refused],
        "sent": sent,
        "in_inbox": in_inbox,
        "routes": access.routes({Role.SENDER}),
        "urgent": bool(refused),
    }


def _not_sent_again(rows: Sequence[Arrival]) -> Iterator[Arrival]:
    """Those of the rows, the newest first, after which nothing of the same name was sent."""
    later: set[tuple[str, str]] = set()
    for row in rows:
        if (row.inbox, row.name) not in later:
            yield row
        later.add((row.inbox, row.name))


def _is_open_refusal(row: Arrival) -> bool:
    is_new = row.finished_at is None or row.finished_at > timezone.now() - _REFUSALS_OF
    return row.state == State.FAILED and is_new and not row.evidence.keys() & ENDED


def _refusal(access: Access, row: Arrival) -> Sent:
    route = access.config.routes.get(row.route)
    rule = (route.name_help or "") if route else ""
    return Sent(row, 0, name_help="" if any(rule in reason for reason in row.reason) else rule)


def _sent(access: Access, rows: Sequence[Arrival]) -> Iterator[Sent]:
    done = [row.id for row in rows if row.state == State.DONE]
    items = dict(
        Delivery.objects.filter(arrival__in=done, outcome=Outcome.DELIVERED)
        .order_by()
        .values_list("arrival")
        .annotate(Count("id"))
    )
    fetches, known = _fetches(done), followed(access.config)
    for row in rows:
        whole, fetched = items.get(row.id, 0), fetches.get(row.id, {})
        first = min(fetched.values(), default=None, key=lambda ack: ack.at)
        yield Sent(
            row,
            _step(row, whole, len(fetched)),
            whole,
            len(fetched),
            first.user if first else "",
            first.at if first else None,
            is_followed=row.route in known,
        )


def _fetches(arrivals: Sequence[str]) -> dict[str, dict[int, Acknowledgment]]:
    """By arrival, the first fetch of each of its deliveries."""
    found: dict[str, dict[int, Acknowledgment]] = {}
    standing = Acknowledgment.objects.filter(delivery__arrival__in=arrivals, undone_at__isnull=True)
    for ack in standing.select_related("delivery").order_by("at", "id")[:10_000]:
        found.setdefault(ack.delivery.arrival_id, {}).setdefault(ack.delivery_id, ack)
    return found


def _step(row: Arrival, items: int, fetched: int) -> int:
    if row.state == State.DONE:
        return 4 if items and fetched >= items else 3
    return 2 if row.intent else int(row.state != State.WAITING)


SECTION = Section("sender", frozenset({Role.SENDER}), facts)
