"""What is called after a delivery: the route's `after` hook and the `arrival_done` signal, retried apart from it."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import F
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from dropslot.arrivals import ledger
from dropslot.arrivals.models import AfterCall, Arrival
from dropslot.arrivals.signals import arrival_done
from dropslot.config import Config
from dropslot.core.concealing import conceal
from dropslot.core.names import escape

log = structlog.get_logger()


def call_due(config: Config, worker: str) -> bool:
    """Call what is due, one after another. False: there was nothing.

    A call under way is `worker`'s for as long as its lease is renewed, so it may take hours; a worker that dies in
    one leaves it due again when the lease has run out.
    """
    due = list(AfterCall.objects.filter(due_at__isnull=False, due_at__lte=Now()).order_by("due_at")[:16])
    for call in due:
        _call(config, worker, call)
    return bool(due)


def renew(worker: str, lease: timedelta) -> None:
    """Lengthen the lease of what `worker` is calling."""
    AfterCall.objects.filter(due_at__isnull=False, worker=worker).update(due_at=Now() + lease)


def _call(config: Config, worker: str, call: AfterCall) -> None:
    due = AfterCall.objects.filter(arrival_id=call.arrival_id, attempts=call.attempts, due_at__lte=Now())
    if due.update(attempts=F("attempts") + 1, due_at=Now() + config.lease, worker=worker) != 1:
        return  # another worker calls it
    this = AfterCall.objects.filter(arrival_id=call.arrival_id, attempts=call.attempts + 1, worker=worker)
    try:
        run(config, call.arrival)
    except Exception as error:  # noqa: BLE001 - whatever an operator's own code raises is written down and tried again
        wait = ledger.backoff(call.attempts + 1)
        why = escape(conceal(f"{type(error).__name__}: {error}"))
        this.update(due_at=Now() + timedelta(seconds=wait), error=why, worker="")
        log.warning(
            f"What follows a delivery failed; it is called again in {wait:.0f} s",
            action="after_failed",
            arrival=call.arrival_id,
            error=type(error).__name__,
        )
    else:
        this.update(due_at=None, error="", worker="")


def run(config: Config, arrival: Arrival) -> None:
    """Call the hook with the finished arrival, then send the signal; raises what they raise."""
    route = config.routes.get(arrival.route)
    if route is not None and route.after:
        import_string(route.after)(arrival)
    for _, answer in arrival_done.send_robust(sender=Arrival, arrival=arrival):
        if isinstance(answer, Exception):
            raise answer
