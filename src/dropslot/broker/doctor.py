"""Whether the broker can be used, for `doctor`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from dropslot.broker import queues
from dropslot.broker.client import away, client, words_of
from dropslot.config import Config
from dropslot.config.servers.brokers import PASSWORD_VARIABLE, is_redis

if TYPE_CHECKING:
    from kombu import Connection


class Trouble(NamedTuple):
    """What is wrong, and what helps."""

    what: str
    remedy: str


def trouble(config: Config) -> Trouble | None:
    """Why the broker does not answer now, or takes nothing because it is full or read-only; None: it does."""
    with client(config, sends_only=True).connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1)
        except away() as error:
            remedy = (
                f"start it, or correct `broker`; its password comes from {PASSWORD_VARIABLE}; deliveries wait"
            )
            return Trouble(f"does not answer: {words_of(error)}", remedy)
        try:
            _try_out(config, connection)
        except away() as error:
            remedy = "give it memory or disk space, or let it take writes; deliveries wait"
            return Trouble(f"answers, and takes nothing: {words_of(error)}", remedy)
    return None


def forgets_tasks(config: Config) -> bool:
    """Whether tasks of `after` that wait at the broker are lost when it restarts. False if it does
    not say. Only for a broker without trouble."""
    sends_tasks = any(route.after_task for route in config.routes.values())
    if not sends_tasks or not is_redis(config.broker or ""):
        return False
    with suppress(*away()), client(config, sends_only=True).connection_for_write() as connection:
        channel: Any = connection.default_channel
        return bool(channel.client.config_get("appendonly").get("appendonly") == "no")
    return False


def _try_out(config: Config, connection: Connection) -> None:
    """Write something that changes nothing. A full RabbitMQ declares queues as ever and takes one message of each
    connection: the second one tells. They are for a queue that nobody has, and are thrown away."""
    declared = queues.queue(config, queues.UPKEEP)(connection.default_channel)
    declared.declare()
    if not is_redis(config.broker or ""):
        producer = connection.Producer(exchange=declared.exchange, routing_key=queues.name_of(""))
        for _ in range(2):
            producer.publish("")
