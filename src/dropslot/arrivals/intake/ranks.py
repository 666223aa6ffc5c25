"""The place of an arrival in its route's queue of work: its rank. Workers take the lowest first.

Start-time fair queueing: each sender of a route has a lane. An arrival starts where its lane ends, or where the route's
work is now, whichever is later. So senders get equal shares, however many of one wait. (Routes get equal shares when
work is taken: `workers.shares_of_routes`.) What wants the same names is still delivered in the order of its drops
(`delivery.order`). Two processes that give ranks at the same time may give one twice: that does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Max

from dropslot.arrivals.intake.claim import in_order
from dropslot.arrivals.models import Arrival, Lane
from dropslot.core.states import State


def give_ranks(arrivals: Sequence[Arrival]) -> None:
    """Give new arrivals their ranks, in the transaction that records them, before the chain's lock is taken."""
    reached = {route: _reached(route) for route in {arrival.route for arrival in arrivals}}
    rows = Lane.objects.filter(route__in=reached, sender__in={arrival.sender for arrival in arrivals})
    ends = {(route, sender): rank for route, sender, rank in rows.values_list("route", "sender", "rank")}
    changed = {}
    for arrival in sorted(arrivals, key=in_order):
        lane = (arrival.route, arrival.sender)
        arrival.rank = max(reached[arrival.route], ends.get(lane, 0))
        ends[lane] = changed[lane] = arrival.rank + 1
    Lane.objects.bulk_create(
        # In one order, so that two processes never wait for each other.
        [Lane(route=route, sender=sender, rank=end) for (route, sender), end in sorted(changed.items())],
        update_conflicts=True,
        unique_fields=["route", "sender"],
        update_fields=["rank"],
    )


def _reached(route: str) -> int:
    """The rank that the route's work has reached: what is being worked on for the first time; else what comes next;
    else the end of all lanes. So a sender that was away saves up nothing."""
    rows = Arrival.objects.filter(route=route, finished_at__isnull=True, held_at__isnull=True)
    at_work = rows.filter(state=State.PROCESSING, attempts__lte=1).aggregate(rank=Max("rank"))["rank"]
    if at_work is not None:
        return int(at_work)
    ready = rows.filter(state=State.READY, attempts=0).order_by("rank").values_list("rank", flat=True)
    for rank in ready[:1]:
        return rank
    return Lane.objects.filter(route=route).aggregate(rank=Max("rank"))["rank"] or 0
