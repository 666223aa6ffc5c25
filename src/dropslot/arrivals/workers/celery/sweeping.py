"""The sweep: announces again what is due and was never announced, or whose message was lost.

A queue with messages in it needs none: each message makes a worker take whatever is due on its route.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from dropslot.arrivals.workers import holder, leases
from dropslot.arrivals.workers.celery import announcing
from dropslot.broker import queues
from dropslot.broker.client import BrokerAway
from dropslot.config import Config

if TYPE_CHECKING:
    from celery import Celery

AT_ONCE = 16 * leases.BATCH


def sweep(app: Celery, config: Config) -> int:
    """Announce what is due on the routes whose queues are empty; returns for how many arrivals. Raises BrokerAway."""
    due = leases.takeable("", partial(holder.is_dead, config.data))
    sent = 0
    for route in config.routes:
        of_route = due.filter(route=route)
        if of_route.exists() and not waiting(app, config, route):
            rows = list(of_route[:AT_ONCE])
            announcing.send_rows(app, config, rows)
            sent += len(rows)
    return sent


def waiting(app: Celery, config: Config, route: str) -> int:
    """How many messages wait in the queue of a route. Raises BrokerAway."""
    try:
        with app.connection_for_write() as connection, connection.channel() as channel:
            declared: Any = queues.queue(config, queues.name_of(route))(channel).queue_declare()
            return int(declared.message_count)
    except (KombuError, AMQPError, RedisError, OSError) as error:
        raise BrokerAway(f"The broker does not say how many messages wait: {error}") from error
