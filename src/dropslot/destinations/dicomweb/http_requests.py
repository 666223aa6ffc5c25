"""Requests to a service, one after the other on one connection. Bodies are sent in pieces, in flat memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple, Self

from dropslot.destinations.dicomweb.service_access import Access, unready

_SECONDS = 120.0
_MOST_BYTES = 64 * 2**20  # of an answer
_WHAT_TO_DO = {
    401: "Correct `password` or `token`, or the user in the address",
    403: "Let our account store there",
    404: "Correct the path in the address: it is the root of the service, such as /dicom-web",
    413: "Let it take larger requests",
}


class Body(NamedTuple):
    """What is sent: its type, its length in bytes, and its pieces, which may be asked for again."""

    kind: str
    size_bytes: int
    pieces: Callable[[], Iterable[bytes]]


class Answer(NamedTuple):
    """The status of an answer, and its content."""

    status: int
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The content as JSON; None if it is not."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


class Requests:
    """A connection to a service, opened when it is needed; a context manager."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._headers = {"Accept": "application/dicom+json", **access.authorization()}
        self._http: HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def ask(self, method: str, path: str, body: Body | None = None) -> Answer:
        """The answer to a request below the root of the service. Raises DestinationUnready if there is none."""
        is_used = self._http is not None
        try:
            return self._ask(method, path, body)
        except (OSError, HTTPException) as error:
            self._close()
            if not is_used:
                raise self._away(error) from error
        try:
            return self._ask(method, path, body)  # it had ended the connection meanwhile
        except (OSError, HTTPException) as error:
            self._close()
            raise self._away(error) from error

    def refused(self, answer: Answer, what: str) -> Exception:
        """The error for an answer that is no success."""
        remedy = _WHAT_TO_DO.get(
            answer.status, "It is retried. Look into the service's own log, or ask who runs it"
        )
        return unready(self._access, f"answers {what} with status {answer.status}", remedy)

    def _ask(self, method: str, path: str, body: Body | None) -> Answer:
        http = self._http = self._http or self._connected()
        headers = dict(self._headers)
        if body:
            headers |= {"Content-Type": body.kind, "Content-Length": str(body.size_bytes)}
        # A service may refuse a body before it has read all of it, and answers then.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._send(http, method, self._access.service.path + path, headers, body)
        with http.getresponse() as response:
            answer = Answer(response.status, self._read(response))
            if response.will_close:
                self._close()
        return answer

    def _send(
        self, http: HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: Body | None
    ) -> None:
        http.putrequest(method, path)
        for name, value in headers.items():
            http.putheader(name, value)
        http.endheaders()
        for piece in body.pieces() if body else ():
            http.send(piece)

    def _read(self, response: HTTPResponse) -> bytes:
        content = response.read(_MOST_BYTES)
        if response.read(1):
            raise HTTPException("the answer is too long")
        return content

    def _connected(self) -> HTTPConnection:
        service = self._access.service
        if context := self._access.tls():
            return HTTPSConnection(service.host, service.port, timeout=_SECONDS, context=context)
        return HTTPConnection(service.host, service.port, timeout=_SECONDS)

    def _close(self) -> None:
        if self._http is not None:
            self._http.close()
        self._http = None

    def _away(self, error: OSError | HTTPException) -> Exception:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return unready(self._access, f"does not answer: {why}")
