"""The sweep: announces again what is due and was never announced, or whose message was lost.

A queue with messages in it needs none: each message makes a worker take whatever is due on its route.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from dropslot.arrivals.workers import holder, leases
from dropslot.arrivals.workers.celery import announcing
from dropslot.broker import queues
from dropslot.broker.client import BrokerAway, away
from dropslot.config import Config
from dropslot.core.names import escape

if TYPE_CHECKING:
    from celery import Celery

AT_ONCE = 16 * leases.BATCH


def sweep(app: Celery, config: Config) -> int:
    """Announce what is due on the routes whose queues are empty; returns for how many arrivals. Raises BrokerAway."""
    due = leases.takeable("", partial(holder.is_dead, config.data))
    routes = set(due.order_by().values_list("route", flat=True).distinct()) & config.routes.keys()
    rows = [
        row for route in _without_messages(app, config, routes) for row in due.filter(route=route)[:AT_ONCE]
    ]
    announcing.send_rows(app, config, rows)
    return len(rows)


def _without_messages(app: Celery, config: Config, routes: Collection[str]) -> list[str]:
    """Those of the routes whose queues are empty."""
    if not routes:
        return []
    try:
        with app.connection_for_write() as connection, connection.channel() as channel:
            return [route for route in sorted(routes) if not _waiting(config, route, channel)]
    except away() as error:
        raise BrokerAway(f"The broker does not say how many messages wait: {escape(str(error))}") from error


def _waiting(config: Config, route: str, channel: Any) -> int:
    """How many messages wait in the queue of a route."""
    declared: Any = queues.queue(config, queues.name_of(route))(channel).queue_declare()
    return int(declared.message_count)
