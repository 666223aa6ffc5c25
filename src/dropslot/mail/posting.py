"""Mails that nobody waits for: one thread of this process sends them, one after the other.

A mail is tried once. One that the server does not take is an error in the log, and is lost: whoever asked for it asks
again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Queue
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

    from dropslot.mail.section import Mail

log = structlog.get_logger()
MOST = 200  # so many wait; while the server is away for long, more would only be late
_LAST_SECONDS = 10.0


class Posting:
    """The mails of this process. The thread begins with the first one."""

    def __init__(self) -> None:
        self._waiting: Queue[tuple[Mail, Callable[[], EmailMessage]] | None] = Queue(MOST)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def post(self, mail: Mail, make: Callable[[], EmailMessage]) -> None:
        """Have the mail that `make` gives sent; returns at once. `make` runs in the thread and has no database."""
        with self._lock:
            if self._waiting.full():
                log.error(
                    f"{MOST} mails wait already; this one is not sent", action="mail_unsent", plain=True
                )
                return
            self._waiting.put((mail, make))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="mail", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Send what waits, for a few seconds at most."""
        if self._thread is not None and self._thread.is_alive() and not self._waiting.full():
            self._waiting.put(None)
            self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while letter := self._waiting.get():
            if fault := _fault(*letter):
                log.error(f"A mail was not sent. {fault}", action="mail_unsent", plain=True)


def _fault(mail: Mail, make: Callable[[], EmailMessage]) -> str:
    """Why a mail could not be sent; empty: it was."""
    from dropslot.mail import smtp  # a portal that sends no mail need not load it

    try:
        smtp.send(mail, make())
    except Exception as error:  # noqa: BLE001 - whatever one mail has, the next one is sent
        return str(error)
    return ""
