"""The sweep: announces again what is due and was never announced, or whose message was lost.

A queue with messages in it needs none: each message makes a worker take whatever is due on its route.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dropslot.arrivals.workers import holder, leases, shares_of_routes
from dropslot.arrivals.workers.celery import announcing
from dropslot.broker.queue_lengths import waiting
from dropslot.config import Config

if TYPE_CHECKING:
    from celery import Celery

AT_ONCE = 8 * leases.LEAST  # of a route: some messages, each of which is worth a batch


def sweep(app: Celery, config: Config) -> int:
    """Announce what is due on the routes whose queues are empty; returns for how many arrivals. Raises BrokerAway."""
    due = leases.takeable("", partial(holder.is_dead, config.data))
    routes = sorted(set(shares_of_routes.busy_routes()) & config.routes.keys())
    counts = waiting(app, config, routes)
    rows = [row for route, count in counts.items() if not count for row in due.filter(route=route)[:AT_ONCE]]
    announcing.send_rows(app, config, rows)
    return len(rows)
