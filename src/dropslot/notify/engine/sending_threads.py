"""Sends messages a few at a time, in threads that know nothing of the database: a server that is slow delays only what
goes to it."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import structlog

from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.notify.channels.message import NotSent
from dropslot.notify.engine import make_message
from dropslot.notify.engine.make_message import Marked
from dropslot.notify.engine.outcomes import Outcome
from dropslot.notify.section import notify_of

log = structlog.get_logger()
AT_ONCE = 4
NOWHERE = (
    "The account has no address of mail any more, or is not active; or config.yaml names this place no more"
)


class Sending:
    """The messages that are under way."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(AT_ONCE, "notify")
        self._under_way: dict[Future[Outcome], str] = {}

    @property
    def free(self) -> int:
        """How many more may be begun."""
        return AT_ONCE - len(self._under_way)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    @property
    def ids(self) -> list[str]:
        """Of the messages that are under way."""
        return list(self._under_way.values())

    def begin(self, marked: Marked) -> None:
        """Send it; never waits."""
        self._under_way[self._threads.submit(self._send, marked)] = marked.id

    def ended(self, seconds: float) -> list[Outcome]:
        """Those that ended meanwhile; waits up to so many seconds for the first one."""
        if not self._under_way:
            return []
        done, _ = wait(self._under_way, seconds, FIRST_COMPLETED)
        for one in done:
            del self._under_way[one]
        return [one.result() for one in done]

    def end(self) -> None:
        """Begin nothing more. What is still under way is left to itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, marked: Marked) -> Outcome:
        from dropslot.notify.channels import send_message, written

        if marked.target is None:
            return Outcome(marked.id, marked.attempts, NOWHERE, may_be_tried_again=False)
        notify = notify_of(self._config)
        try:
            base = make_message.base_of(self._config)
            message = written.written(notify.templates, marked.notice, marked.id, portal=base)
            send_message.send(self._config, marked.target, message, allowed=notify.allow_private)
        except NotSent as error:
            return Outcome(marked.id, marked.attempts, str(error), error.retryable)
        except DropslotError as error:
            return Outcome(marked.id, marked.attempts, str(error))
        except Exception as error:
            log.exception("A message could not be made or sent; this is retried", action="not_notified")
            return Outcome(marked.id, marked.attempts, f"{type(error).__name__}: {error}")
        return Outcome(marked.id, marked.attempts)
