"""Whether the broker can be used, for `doctor`."""

from __future__ import annotations

from typing import NamedTuple

from dropslot.broker import queues
from dropslot.broker.client import away, client
from dropslot.config import Config
from dropslot.config.servers.brokers import PASSWORD_VARIABLE


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
            return Trouble(f"does not answer: {_said(error)}", remedy)
        try:
            queues.queue(config, queues.UPKEEP)(connection.default_channel).declare()
        except away() as error:
            remedy = "give it memory or disk space, or let it take writes; deliveries wait"
            return Trouble(f"answers, and takes nothing: {_said(error)}", remedy)
    return None


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
