"""How many messages wait in the queues of routes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from dropslot.broker import queues
from dropslot.broker.client import BrokerAway, away, words_of
from dropslot.config import Config

if TYPE_CHECKING:
    from celery import Celery


def waiting(app: Celery, config: Config, routes: Collection[str]) -> Mapping[str, int]:
    """The messages in the queue of each of these routes. Raises BrokerAway."""
    if not routes:
        return {}
    try:
        with app.connection_for_write() as connection, connection.channel() as channel:
            return {route: _of(config, route, channel) for route in routes}
    except away() as error:
        raise BrokerAway(f"The broker does not say how many messages wait: {words_of(error)}") from error


def _of(config: Config, route: str, channel: Any) -> int:
    declared: Any = queues.queue(config, queues.name_of(route))(channel).queue_declare()
    return int(declared.message_count)
