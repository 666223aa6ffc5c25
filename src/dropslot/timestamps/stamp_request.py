"""Asks a time-stamping authority by HTTP (RFC 3161, 3.4)."""

from __future__ import annotations

import http.client
import ssl
import threading
import urllib.error
import urllib.request
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from dropslot.audit.chain import Head
from dropslot.core.names import escape
from dropslot.timestamps.stamps import NotProven, Stamp, proven, request_for

if TYPE_CHECKING:
    from collections.abc import Collection

    from cryptography.x509 import Certificate

    from dropslot.timestamps.section import Authority

ANSWER_SECONDS = 10.0  # for each step of it
WHOLE_SECONDS = 30.0
LARGEST_BYTES = 256 * 1024
CLOCKS_APART = timedelta(minutes=5)
_NEXT = (
    "It is asked again later. If this repeats, see `timestamp` in config.yaml, and the clock of this machine"
)


def ask(authority: Authority, roots: Collection[Certificate], head: Head) -> Stamp:
    """A proven stamp of a head. Raises NotProven: no answer, no proof, or a time that this machine's clock
    contradicts."""
    request = request_for(head)
    try:
        stamp = proven(_answer_in_time(authority.url, request.as_bytes()), head, roots, request)
        _require_same_time(stamp.at)
    except NotProven as error:
        what = f"The time-stamping authority {authority.url} gave no time stamp: {error.what}"
        raise NotProven(what, where="The trail is unchanged", next_step=_NEXT) from error
    return stamp


def _require_same_time(at: datetime) -> None:
    """One of the two clocks is wrong; which one, nobody can say here."""
    now = datetime.now(UTC)
    if abs(at - now) > CLOCKS_APART:
        raise NotProven(
            f"It says that it is {at:%Y-%m-%d %H:%M:%S} UTC; here it is {now:%Y-%m-%d %H:%M:%S} UTC"
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An authority that has moved is for an operator to decide about."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _answer_in_time(url: str, body: bytes) -> bytes:
    """Whatever the other side does, this takes no longer than `WHOLE_SECONDS`: a thread that still reads is left to
    itself."""
    found: Future[bytes] = Future()

    def ask() -> None:
        try:
            found.set_result(_answer(url, body))
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=ask, name="timestamp", daemon=True).start()
    try:
        return found.result(WHOLE_SECONDS)
    except TimeoutError as error:
        raise NotProven(f"it did not answer within {WHOLE_SECONDS:.0f} s") from error


def _answer(url: str, body: bytes) -> bytes:
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with _opener().open(request, timeout=ANSWER_SECONDS) as response:
            return _read(response)
    except urllib.error.HTTPError as error:
        with error:
            raise NotProven(f"it answered {error.code} {escape(str(error.reason))[:200]}") from error
    except urllib.error.URLError as error:
        raise NotProven(f"it cannot be reached: {escape(str(error.reason))}") from error
    except TimeoutError as error:
        raise NotProven(f"it did not answer within {ANSWER_SECONDS:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotProven(f"its answer was cut off: {escape(str(error))[:200]}") from error


def _read(response: http.client.HTTPResponse) -> bytes:
    found = b""
    while chunk := response.read1(LARGEST_BYTES):
        found += chunk
        if len(found) > LARGEST_BYTES:
            raise NotProven("its answer is too long")
    return found


def _opener() -> urllib.request.OpenerDirector:
    """With the proxies of the environment, and the authorities that this system trusts."""
    import truststore

    secure = urllib.request.HTTPSHandler(context=truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return urllib.request.build_opener(_NoRedirect, secure)
