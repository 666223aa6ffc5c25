"""Messages that are not made of what happened alike, as a digest: each is one of its own."""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.apps import apps
from django.utils import timezone
from ulid import ULID

from dropslot.arrivals.upkeep.database import DatabaseUnready
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.notify.channels.message import Notice
from dropslot.notify.engine.make_message import as_json
from dropslot.notify.engine.whom import To
from dropslot.notify.engine.writing_down import recipients_of
from dropslot.notify.models import Message

log = structlog.get_logger()
_SECONDS = 60.0


def add_for(account: Any | None, target: str, notice: Notice) -> None:
    """The same for an account, or for a target if there is none."""
    add(To.place(target) if account is None else To.account(account), notice)


def add(to: To, notice: Notice) -> str:
    """Have one sent as soon as quiet hours allow; within the caller's transaction. Returns its id."""
    now = timezone.now()
    recipient = recipients_of({to})[to.key]
    row = Message(id=str(ULID()), recipient=recipient, notice=as_json(notice), made_at=now, due_at=now)
    row.save(force_insert=True)
    return row.id


class Digests:
    """Looks once in a minute whether any are due, by this process's clock."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def work(self, config: Config) -> None:
        """Write them down if it is time. Raises DatabaseError. If they cannot be made, messages go on all the same."""
        if time.monotonic() < self._due or not apps.is_installed("dropslot.access"):
            return
        from dropslot.notify.digests import due_summaries

        self._due = time.monotonic() + _SECONDS
        try:
            due_summaries.write_down_due(config, add_for)
        except DatabaseUnready:
            raise
        except DropslotError as error:
            line = "Summaries cannot be made; this is retried"
            log.warning(line, action="not_notified", error=str(error), plain=True)
