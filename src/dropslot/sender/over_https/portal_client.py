"""Requests to one portal: each thread has a connection of its own, which is kept.

Certificates are checked against what this system trusts; proxies come from the environment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

import requests
from requests.auth import AuthBase

from dropslot.core.reading_json import MALFORMED
from dropslot.sender.over_https import https_errors
from dropslot.sender.system_trust import SystemTrust

T = TypeVar("T")
API = "/api/v1"
CONNECT_SECONDS = 30.0  # also how long a send may make no headway
ANSWER_SECONDS = 300.0  # a portal may sync a large batch before it answers
_TUS = "1.0.0"


class Sized(Protocol):
    """A body that is made while it is sent; its length is known before."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class _Bearer(AuthBase):
    """As an object of requests' own: a .netrc then takes nothing's place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Portal:
    """`base` is its address, such as https://drop.lab.example."""

    def __init__(self, base: str, token: str) -> None:
        self.base = base
        self._auth = _Bearer(token)
        self._own = threading.local()
        self._sessions: list[requests.Session] = []
        self._lock = threading.Lock()
        self._was_reached = False

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Sized | None = None,
        content: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer below 300 to a request for `path` of the API; `content` is sent as JSON. Raises a DropslotError,
        and what a body raises while it is read."""
        try:
            answer = self._session().request(
                method,
                f"{self.base}{API}/{path}",
                params=query,
                data=body,
                json=content,
                headers={"Tus-Resumable": _TUS, **(headers or {})},
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise https_errors.of_network(error, self.base, was_reached=self._was_reached) from error
        self._was_reached = True
        if answer.status_code >= 300:
            raise https_errors.of_answer(answer, self.base)
        return answer

    def read(self, path: str, pick: Callable[[Any], T], query: Mapping[str, str] | None = None) -> T:
        """What `pick` takes from the JSON that a GET answers. Raises a DropslotError, also for JSON of another form."""
        return self.picked(self.ask("GET", path, query=query), pick)

    def picked(self, answer: requests.Response, pick: Callable[[Any], T]) -> T:
        """What `pick` takes from the JSON of an answer. Raises a DropslotError for JSON of another form."""
        try:
            return pick(answer.json())
        except MALFORMED as error:  # a proxy's page, for instance
            raise https_errors.unexpected(
                self.base, "something else than a portal of dropslot does"
            ) from error

    def header(self, answer: requests.Response, name: str) -> str:
        """A header that every portal sends. Raises a DropslotError."""
        found = answer.headers.get(name)
        if found is None:
            raise https_errors.unexpected(self.base, f"without {name}")
        return str(found)

    def close(self) -> None:
        """End all connections."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._own, "session", None)
        if session is None:
            session = self._own.session = self._made()
            with self._lock:
                self._sessions.append(session)
        return session

    def _made(self) -> requests.Session:
        session = requests.Session()
        session.auth = self._auth
        session.mount("https://", SystemTrust())
        # Once: requests would look through the environment with each of thousands of small files.
        found = session.merge_environment_settings(self.base, {}, None, None, None)
        session.proxies, session.verify = found["proxies"], found["verify"]
        session.trust_env = False
        return session
