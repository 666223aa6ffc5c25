"""The dead-man ping: a request to a server outside as long as all is well, to its `/fail` otherwise. If none comes,
that server tells people.

Each one is made in a process of its own, which is killed after a while: whatever the other side does, the sentinel
waits for nothing. Redirects are not followed, and no private address is reached unless config.yaml allows it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from dropslot.arrivals.registry import Late
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.troubles import TroubleKind
from dropslot.files.children import Child, ChildDied
from dropslot.running.ages import elapsed

if TYPE_CHECKING:  # loaded only by the process that pings
    import requests
    from requests.adapters import HTTPAdapter

log = structlog.get_logger()
ANSWER_SECONDS = 5.0  # for a connection, and for each piece of an answer
SECONDS = 20.0  # for all of one ping
FAILURES = 3  # in a row: a server that is restarted is no trouble


class Pings:
    """When the next ping is due, and how the last ones went."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._due = elapsed()
        self._under_way: Child[str] | None = None
        self._begun = 0.0
        self._failures = 0
        self._fault = ""
        self.count = 0  # of pings that have ended

    def look(self, kinds: Sequence[TroubleKind] | None) -> None:
        """Take the result of the last ping, and begin the next one if it is due. `kinds` of troubles that are open;
        None: it is not known yet whether all is well, so nothing is said."""
        self._end_if_over()
        if (
            self._config.health.ping
            and kinds is not None
            and self._under_way is None
            and elapsed() >= self._due
        ):
            self._begun = elapsed()
            self._due = self._begun + self._config.health.every.total_seconds()
            self._under_way = Child.fork(partial(_ping, self._config, kinds))

    def seconds(self) -> float:
        """Until there is something to do."""
        if self._config.health.ping is None:
            return float("inf")
        return 0.1 if self._under_way else max(0.0, self._due - elapsed())

    def _end_if_over(self) -> None:
        child = self._under_way
        if child is None:
            return
        if child.has_failed():  # it has a result to read
            with child:
                self._note(_result(child))
        elif elapsed() - self._begun > SECONDS:
            with child:
                self._note(f"it did not end within {SECONDS:.0f} s")
        else:
            return
        self._under_way = None

    def _note(self, fault: str) -> None:
        self.count += 1
        self._failures = self._failures + 1 if fault else 0
        if fault != self._fault:
            place = place_of(self._config)
            line = (
                f"The ping to {place} was not taken: {fault}" if fault else f"The ping to {place} was taken"
            )
            (log.warning if fault else log.info)(line, action="ping", plain=bool(fault))
        self._fault = fault

    def late(self) -> Iterator[Late]:
        """Whether pings do not arrive."""
        if self._failures >= FAILURES:
            remedy = (
                "correct `health: ping` in config.yaml, or what is on the way; nobody outside sees this now"
            )
            about = f"ping to {place_of(self._config)}"
            yield Late(about, self._fault, remedy, kind=TroubleKind.PING, is_local=True)

    def end(self) -> None:
        """Give up the ping that is under way, and forget how the last ones went: another sentinel pings now, if any."""
        self._failures, self._fault = 0, ""
        if self._under_way is not None:
            with self._under_way:
                self._under_way = None


def place_of(config: Config) -> str:
    """The server, without the path: who knows that can ping, too."""
    return escape(urlsplit(config.health.ping or "").netloc)


def _result(child: Child[str]) -> str:
    try:
        return child.result()
    except (ChildDied, OSError) as error:
        return f"its process ended: {error}"


def _ping(config: Config, kinds: Sequence[TroubleKind]) -> str:
    """In the child. Returns what is wrong; empty: it was taken."""
    import requests

    from dropslot.config.guard import Guard

    guard = Guard(config.health.allow_private)  # before the hook: names are looked up
    sys.addaudithook(guard.watch)
    url = f"{config.health.ping}{'/fail' if kinds else ''}"
    body = f"Troubles: {', '.join(sorted(set(kinds)))}" if kinds else "All is well"
    try:
        with _session() as session:
            answer = session.post(
                url, data=body, timeout=ANSWER_SECONDS, allow_redirects=False, stream=True, verify=True
            )
            answer.close()
    except requests.RequestException as error:
        return _in_words(error, guard.refused)
    except PermissionError:
        return _refused(guard.refused)
    if answer.is_redirect or 300 <= answer.status_code < 400:
        return f"it redirects ({answer.status_code}), which is not followed"
    return "" if answer.ok else f"it answers {answer.status_code}"


def _session() -> requests.Session:
    import requests

    session = requests.Session()
    session.mount("https://", _trusting_the_system())
    return session


def _trusting_the_system() -> HTTPAdapter:
    import ssl

    from requests.adapters import HTTPAdapter

    class SystemTrust(HTTPAdapter):
        """Hospitals have certificate authorities of their own."""

        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, ssl_context=ssl.create_default_context())

        def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
            return super().proxy_manager_for(proxy, **more, ssl_context=ssl.create_default_context())

    return SystemTrust()


def _in_words(error: Exception, refused: Sequence[str]) -> str:
    """Without the address, whose path is as good as a password."""
    import requests

    if refused:
        return _refused(refused)
    if isinstance(error, requests.Timeout):
        return f"it does not answer within {ANSWER_SECONDS:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted here, or it does not speak TLS"
    return f"it cannot be reached ({type(error).__name__})"


def _refused(addresses: Sequence[str]) -> str:
    place = escape(addresses[0]) if addresses else "a private address"
    return f"{place} is private, and `health: allow_private` does not name it"
