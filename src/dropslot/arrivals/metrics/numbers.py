"""The numbers of the installation as Prometheus takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, Sum
from django.utils import timezone
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dropslot.arrivals.metrics.families import counter, gauge, histogram
from dropslot.arrivals.metrics.tally import Tally
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.space.spaces import Space
from dropslot.arrivals.upkeep.health import Examined, Health
from dropslot.audit.kinds import Kind
from dropslot.config import current
from dropslot.core.context import kept
from dropslot.core.names import escape
from dropslot.core.rarely import Rarely
from dropslot.core.states import UNFINISHED, State

_SECONDS = 5.0
_DURATIONS = {
    "claim": ("dropslot_claim_seconds", "From the drop of a delivered arrival until it was claimed"),
    "delivery": ("dropslot_delivery_seconds", "From the claim of a delivered arrival until it was done"),
    "staging": ("dropslot_staging_seconds", "Reading a delivered arrival and writing it to the destinations"),
    "publishing": (
        "dropslot_publishing_seconds",
        "Giving a delivered arrival its final names, until durable",
    ),
}


class Numbers(Collector):
    """All of them, made anew at most every few seconds. Without a database only those that need none."""

    def __init__(self) -> None:
        self._families = Rarely(lambda: list(_families()), seconds=_SECONDS)

    def collect(self) -> Iterable[Metric]:
        return self._families.get()


def _families() -> Iterator[Metric]:
    found = kept(Examined).get()
    yield from _of_health(found)
    if not found.database:
        return
    try:
        yield from [*_of_arrivals(), *_of_trail()]  # all or none
    except (DatabaseError, InterfaceError):
        return  # it went away just now; the next time dropslot_database_up says so


def _of_health(found: Health) -> Iterator[Metric]:
    yield gauge("dropslot_watcher_up", "Whether the watcher runs", value=found.watcher)
    yield gauge("dropslot_database_up", "Whether the database answers", value=found.database)
    yield gauge("dropslot_late", "How many things `health` finds late", value=len(found.late))
    text = "By how much the latest thing of each kind of trouble is late; 0 if that is not known"
    worst: dict[tuple[str, ...], float] = {}
    for one in found.late:
        key = (one.kind.value,)
        worst[key] = max(worst.get(key, 0.0), float(found.late_seconds(one) or 0))
    yield gauge("dropslot_late_seconds", text, ("kind",), worst.items())
    trees = [((one.host, one.tree), float(one.is_alive)) for one in found.machines]
    yield gauge("dropslot_tree_up", "Whether a tree of processes is alive", ("host", "tree"), trees)
    yield from _of_space(found.space)
    if found.failed is not None:
        text = "Failed arrivals that nobody has retried or dismissed"
        yield gauge("dropslot_failed_undecided", text, value=found.failed)
    queues = {State.READY: found.ready, State.RETRYING: found.retrying}
    ages = [
        ((state.value,), queue.seconds(found.at) or 0) for state, queue in queues.items() if queue is not None
    ]
    yield gauge("dropslot_queue_oldest_seconds", "How long the oldest arrival has waited", ("state",), ages)


def _of_space(spaces: Sequence[Space]) -> Iterator[Metric]:
    """With the folder and what limits it: a folder has a file system, and may have quotas."""
    named = [((escape(space.folders[0]), space.what), space) for space in spaces]
    labels = ("folder", "limit")
    limited = [(label, space) for label, space in named if space.free_bytes is not None]
    used = [(label, space.percent / 100) for label, space in limited]
    yield gauge("dropslot_space_used_ratio", "How full a file system, quota or folder is", labels, used)
    free = [(label, float(space.free_bytes or 0)) for label, space in limited]
    yield gauge("dropslot_space_free_bytes", "Free space of a file system, quota or folder", labels, free)
    held = [(label, float(space.used_bytes)) for label, space in named]
    yield gauge("dropslot_space_used_bytes", "What a file system, quota or folder holds", labels, held)
    growth = [(label, float(space.daily_bytes)) for label, space in named if space.daily_bytes is not None]
    yield gauge("dropslot_space_daily_bytes", "How much it grows a day", labels, growth)
    waiting = [(label, float(space.waits.arrivals)) for label, space in named]
    yield gauge("dropslot_space_waiting", "Arrivals that wait for room there", labels, waiting)


def _of_arrivals() -> Iterator[Metric]:
    grouped = Arrival.objects.order_by().values_list("route", "state")
    rows = list(grouped.annotate(count=Count("pk"), size=Sum("size_bytes")))
    # Zero where there is none: to Prometheus a number that is missing is not zero.
    none = {(route, state.value): 0.0 for route in current().routes for state in UNFINISHED}
    counts = none | {(route, state): float(count) for route, state, count, _ in rows}
    yield gauge("dropslot_arrivals", "Arrivals by route and state", ("route", "state"), counts.items())
    sizes = [((route, state), float(size or 0)) for route, state, _, size in rows]
    yield gauge("dropslot_arrivals_bytes", "Bytes of arrivals by route and state", ("route", "state"), sizes)
    done = [((route,), float(size or 0)) for route, state, _, size in rows if state == State.DONE]
    yield counter("dropslot_delivered_bytes", "Bytes of arrivals that are done", ("route",), done)
    yield from _of_queues()


def _of_queues() -> Iterator[Metric]:
    waiting = Arrival.objects.filter(finished_at__isnull=True, held_at__isnull=True)
    queued = waiting.filter(state__in=(State.READY, State.RETRYING)).order_by().values_list("route")
    now = timezone.now()
    ages = {(route,): 0.0 for route in current().routes}
    for route, oldest in queued.annotate(oldest=Min("dropped_at")):
        ages[(route,)] = max(0.0, (now - oldest).total_seconds())
    text = "How long the oldest arrival of a route has waited for a worker or its next attempt"
    yield gauge("dropslot_route_oldest_seconds", text, ("route",), ages.items())


def _of_trail() -> Iterator[Metric]:
    tally = kept(Tally)
    tally.update()
    yield gauge("dropslot_chain_length", "Events in the audit trail", value=tally.seq)
    kinds = [((kind,), float(count)) for kind, count in sorted(tally.kinds.items())]
    yield counter("dropslot_events", "Events by kind", ("kind",), kinds)
    text = "Items at their destinations, by route and outcome"
    outcomes = [(key, float(count)) for key, count in sorted(tally.outcomes.items())]
    yield counter("dropslot_deliveries", text, ("route", "outcome"), outcomes)
    yield _counted(tally, "dropslot_retries", "Attempts that failed and are repeated", Kind.RETRYING)
    yield _counted(tally, "dropslot_takeovers", "Arrivals that another worker took over", Kind.TAKEN_OVER)
    for step, (name, said) in _DURATIONS.items():
        yield histogram(name, said, "route", tally.spreads[step])


def _counted(tally: Tally, name: str, text: str, kind: Kind) -> Metric:
    return counter(name, text, (), [((), float(tally.kinds[kind.value]))])
