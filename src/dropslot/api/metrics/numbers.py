"""The numbers of the installation as Prometheus takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Sum
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dropslot.api.health import Examined
from dropslot.api.metrics.tally import Tally
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.upkeep.health import Health
from dropslot.audit.kinds import Kind
from dropslot.core.context import kept
from dropslot.core.names import escape
from dropslot.core.rarely import Rarely
from dropslot.core.states import State

_SECONDS = 5.0
_Rows = Iterable[tuple[tuple[str, ...], float]]


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
    yield _gauge("dropslot_watcher_up", "Whether the watcher runs", value=found.watcher)
    yield _gauge("dropslot_database_up", "Whether the database answers", value=found.database)
    yield _gauge("dropslot_late", "How many things `health` finds late", value=len(found.late))
    disks = [((escape(disk.holds[0]),), disk.percent / 100) for disk in found.space]
    yield _gauge("dropslot_space_used_ratio", "How full the file system of a folder is", ("folder",), disks)
    if found.failed is not None:
        text = "Failed arrivals that nobody has retried or dismissed"
        yield _gauge("dropslot_failed_undecided", text, value=found.failed)
    queues = {State.READY: found.ready, State.RETRYING: found.retrying}
    ages = [
        ((state.value,), queue.seconds(found.at) or 0) for state, queue in queues.items() if queue is not None
    ]
    yield _gauge("dropslot_queue_oldest_seconds", "How long the oldest arrival has waited", ("state",), ages)


def _of_arrivals() -> Iterator[Metric]:
    grouped = Arrival.objects.order_by().values_list("route", "state")
    rows = list(grouped.annotate(count=Count("pk"), size=Sum("size_bytes")))
    counts = [((route, state), float(count)) for route, state, count, _ in rows]
    yield _gauge("dropslot_arrivals", "Arrivals by route and state", ("route", "state"), counts)
    sizes = [((route,), float(size or 0)) for route, state, _, size in rows if state == State.DONE]
    yield _counter("dropslot_delivered_bytes", "Bytes of arrivals that are done", ("route",), sizes)


def _of_trail() -> Iterator[Metric]:
    tally = kept(Tally)
    tally.update()
    yield _gauge("dropslot_chain_length", "Events in the audit trail", value=tally.seq)
    kinds = [((kind,), float(count)) for kind, count in sorted(tally.kinds.items())]
    yield _counter("dropslot_events", "Events by kind", ("kind",), kinds)
    text = "Items at their destinations, by route and outcome"
    outcomes = [(key, float(count)) for key, count in sorted(tally.outcomes.items())]
    yield _counter("dropslot_deliveries", text, ("route", "outcome"), outcomes)
    yield _counted(tally, "dropslot_retries", "Attempts that failed and are repeated", Kind.RETRYING)
    yield _counted(tally, "dropslot_takeovers", "Arrivals that another worker took over", Kind.TAKEN_OVER)


def _counted(tally: Tally, name: str, text: str, kind: Kind) -> Metric:
    return _counter(name, text, (), [((), float(tally.kinds[kind.value]))])


def _gauge(
    name: str, text: str, labels: tuple[str, ...] = (), rows: _Rows = (), value: float | None = None
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, number in rows if value is None else [((), float(value))]:
        family.add_metric(key, number)
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], rows: _Rows) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, number in rows:
        family.add_metric(key, number)
    return family
