"""Celery as dropslot uses it: JSON only, acknowledged late, nothing fetched ahead, no results, no remote control."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from dropslot.broker import queues
from dropslot.config.servers.brokers import is_redis, with_password
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from celery import Celery

    from dropslot.config import Config

CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 5.0
VISIBILITY_SECONDS = 3600
# A server that the network lost without a word is given up after some 30 seconds, as the database is. RabbitMQ's client
# does so by itself.
_PATIENCE = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 30_000,  # milliseconds
}
# A connection that broke meanwhile is made anew.
_ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
OTHERS = "celery"  # the default queue of people's own workers


class BrokerAway(DropslotError):
    """The broker did not take a message."""

    code = "broker-away"
    retryable = True


def client(config: Config, *, sends_only: bool = False) -> Celery:
    """A Celery app. What only sends is not the process's current one, and waits for no answer longer than
    ANSWER_SECONDS; a worker is, and waits for messages as long as it takes."""
    from celery import Celery

    # Without Celery's own care for Django, which would close the database's connection after each task.
    app = Celery(
        "dropslot", broker=with_password(config.broker or ""), set_as_current=not sends_only, fixups=[]
    )
    names = [queues.UPKEEP, *map(queues.name_of, config.routes)]
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_queues=[queues.queue(config, name) for name in names],
        task_default_queue=queues.UPKEEP,
        task_default_exchange=queues.UPKEEP,
        task_default_routing_key=queues.UPKEEP,
        task_default_delivery_mode="transient",
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A worker does not answer during a long delivery; TCP finds out when the other side is gone.
        broker_heartbeat=0,
        broker_transport_options=_options(config, sends_only=sends_only) | config.broker_options,
    )
    return app


def _options(config: Config, *, sends_only: bool) -> dict[str, Any]:
    if is_redis(config.broker or ""):
        options: dict[str, Any] = {
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_keepalive": True,
            "socket_keepalive_options": _PATIENCE,
        }
        return options | ({"socket_timeout": ANSWER_SECONDS} if sends_only else {})
    times = {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
    return {"confirm_publish": True} | (times if sends_only else {})


def away() -> tuple[type[Exception], ...]:
    """What is raised when a broker does not answer, or refuses."""
    from amqp.exceptions import AMQPError
    from kombu.exceptions import KombuError
    from redis.exceptions import RedisError

    return KombuError, AMQPError, RedisError, OSError


def words_of(error: Exception) -> str:
    """What a broker said; much of what it does not answer has no words of its own."""
    if text := str(error):
        return escape(text).rstrip(".")
    is_late = isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError)
    return "no answer in time" if is_late else type(error).__name__


def send(app: Celery, task: str, **options: Any) -> None:
    """Send a message, without waiting long. Raises BrokerAway."""
    try:
        app.send_task(task, retry=True, retry_policy=_ONCE_MORE, ignore_result=True, **options)
    except away() as error:
        raise BrokerAway(f"The broker did not take a message: {words_of(error)}") from error


class _Sender:
    """The client that a process sends other people's tasks with."""

    app: Celery | None = None


def send_to_others(config: Config, task: str, arrival: str) -> None:
    """Send somebody's own task with the arrival's id; its message survives a restart of the broker. Raises
    BrokerAway."""
    from kombu import Queue

    sender = kept(_Sender)
    sender.app = sender.app or client(config, sends_only=True)
    queue = Queue(OTHERS, routing_key=OTHERS, exchange=OTHERS)  # as Celery declares the default one
    options = {"queue": queue, "delivery_mode": "persistent", "task_id": f"dropslot-{arrival}"}
    send(sender.app, task, args=[arrival], **options)
