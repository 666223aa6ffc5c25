"""The names of queues and tasks, which people may rely on, and the priority of a message."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from dropslot.config.servers.brokers import is_redis

if TYPE_CHECKING:
    from kombu import Queue

    from dropslot.config import Config

DELIVER = "dropslot.deliver"
SCHEDULED = "dropslot.scheduled"
UPKEEP = "dropslot"  # the queue of what belongs to no route
_PREFIX = f"{UPKEEP}."


class Urgency(IntEnum):
    """What comes first: small arrivals are not to wait for a large one."""

    SMALL = 0
    LARGE = 1


def name_of(route: str) -> str:
    """The queue of a route."""
    return f"{_PREFIX}{route}"


def route_of(queue: str) -> str:
    """The route of a queue; empty for another queue."""
    return queue.removeprefix(_PREFIX) if queue.startswith(_PREFIX) else ""


def priority(config: Config, urgency: Urgency) -> int:
    """As the broker counts: for Redis 0 comes first, for RabbitMQ the highest number."""
    redis = is_redis(config.broker or "")
    return 3 * urgency if redis else max(Urgency) - urgency


def queue(config: Config, name: str) -> Queue:
    """A queue as Celery declares it. Its arguments must stay as they are: RabbitMQ refuses a queue that exists with
    others."""
    from kombu import Exchange, Queue

    arguments = None if is_redis(config.broker or "") else {"x-max-priority": int(max(Urgency))}
    exchange = Exchange(UPKEEP, type="direct", durable=True)
    return Queue(name, exchange, routing_key=name, durable=True, queue_arguments=arguments)
