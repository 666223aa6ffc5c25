"""What a portal or the network says, as errors in words for a person at a collection PC."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import requests

from dropslot.core.errors import DiskFull, DropslotError
from dropslot.core.names import escape
from dropslot.core.reading_json import MALFORMED
from dropslot.sender.faults import BagRefused, HostUntrusted, InboxClosed, SignInRefused

KEPT = "Your files are untouched. What was sent so far is kept at the server"
UNSENT = "Nothing was sent. Your files are untouched"
RUNS_THE_SERVER = "the person who runs the server"
_LONGEST = 300
_GATEWAYS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class Unreachable(DropslotError):
    """The portal does not answer."""

    code = "unreachable"
    retryable = True


class ConnectionLost(DropslotError):
    """The connection ended before the answer came."""

    code = "connection-lost"
    retryable = True


class Busy(DropslotError):
    """The portal cannot do this now."""

    code = "busy"
    retryable = True


class QuotaUsed(DropslotError):
    """The account may not have more unfinished uploads at the portal."""

    code = "quota"
    retryable = True


class Unexpected(DropslotError):
    """An answer that no portal of dropslot gives."""

    code = "unexpected-answer"


class NotThere(DropslotError):
    """The portal knows no such thing (any more): it is begun anew."""

    code = "not-there"
    retryable = True


class PartRefused(DropslotError):
    """The portal does not take this one file; `reasons` are for people."""

    code = "part-refused"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def of_network(error: requests.RequestException, server: str, *, was_reached: bool) -> DropslotError:
    """For a request that had no answer."""
    if isinstance(error, requests.exceptions.SSLError):
        return HostUntrusted(
            f"The certificate of {escape(server)} is not trusted by this PC: {_short(error)}",
            where=UNSENT,
            next_step="Somebody may be between this PC and the server: send nothing. Check the address and this PC's"
            f" clock, and ask {RUNS_THE_SERVER}",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return Unreachable(
            f"The proxy of this network does not lead to {escape(server)}: {_short(error)}",
            where=KEPT,
            next_step="It is tried again by itself. If this goes on, check HTTPS_PROXY and NO_PROXY",
        )
    if was_reached:
        return ConnectionLost(
            f"The connection to {escape(server)} was lost",
            where=KEPT,
            next_step="It goes on by itself once the network is back",
        )
    return Unreachable(
        f"{escape(server)} does not answer",
        where=KEPT,
        next_step="It is tried again by itself. Check that this PC has a network (a VPN, if the server needs one), and"
        " that the address is right",
    )


def _short(error: Exception) -> str:
    """The innermost cause: those around it repeat addresses and objects of libraries."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__ or (cause.args and isinstance(cause.args[0], Exception)):
        inner = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        cause = inner or cause.__cause__ or cause.__context__ or cause
    return escape(str(cause))[:_LONGEST]


def of_answer(answer: requests.Response, server: str) -> DropslotError:
    """For an answer that is not what was asked for."""
    said = _problem(answer)
    title, step = (escape(str(said.get(key, "")))[:_LONGEST] for key in ("title", "next_step"))
    make = _BY_STATUS.get(answer.status_code)
    if make is not None:
        return make(server, title or _plain(answer), step)
    if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY and said:
        reasons = said.get("reasons")
        return PartRefused(tuple(map(str, reasons)) if isinstance(reasons, list) else (title,))
    if answer.is_redirect:
        to = escape(answer.headers.get("Location", ""))[:_LONGEST]
        return Unexpected(
            f"{escape(server)} sends to another address: {to}", where=UNSENT, next_step=_ADDRESS
        )
    if answer.status_code in _GATEWAYS:
        return _busy(server, title or _plain(answer), step)
    return unexpected(server, title or _plain(answer), step)


def unexpected(server: str, what: str, step: str = "") -> Unexpected:
    """For an answer that no portal of dropslot gives."""
    return Unexpected(f"{escape(server)} answered {what}", where=KEPT, next_step=step or _ADDRESS)


_ADDRESS = f"Check the address of the portal, or show this message to {RUNS_THE_SERVER}"


def _plain(answer: requests.Response) -> str:
    return f"{answer.status_code} {escape(str(answer.reason))[:_LONGEST]}"


def _problem(answer: requests.Response) -> dict[str, Any]:
    """What a portal says of an error (RFC 9457); empty if this comes from something else, such as a proxy."""
    try:
        said = answer.json() if answer.content else {}
    except MALFORMED:
        return {}
    return said if isinstance(said, dict) else {}


def _signed_out(server: str, title: str, step: str) -> DropslotError:  # noqa: ARG001
    return SignInRefused(
        f"{escape(server)} does not accept the token: it is wrong, expired or revoked",
        where=KEPT,
        next_step=f"Make a new token on the page Tokens of {escape(server)} (scope upload), and send again",
    )


def _denied(server: str, title: str, step: str) -> DropslotError:
    return InboxClosed(
        f"{escape(server)} refused this: {title}",
        where=KEPT,
        next_step=step or f"Ask {RUNS_THE_SERVER} for the role sender of this route",
    )


def _not_there(server: str, title: str, step: str) -> DropslotError:
    return NotThere(f"{escape(server)}: {title}", where=KEPT, next_step=step)


def _full(server: str, title: str, step: str) -> DropslotError:  # noqa: ARG001
    return DiskFull(
        f"{escape(server)}: {title}",
        where=KEPT,
        next_step=f"Tell {RUNS_THE_SERVER}: it needs room. Sending goes on by itself when there is room",
    )


def _too_much(server: str, title: str, step: str) -> DropslotError:
    return QuotaUsed(f"{escape(server)}: {title}", where=KEPT, next_step=step)


def _busy(server: str, title: str, step: str) -> DropslotError:
    return Busy(f"{escape(server)} cannot do this now: {title}", where=KEPT, next_step=step)


_BY_STATUS = {
    HTTPStatus.UNAUTHORIZED: _signed_out,
    HTTPStatus.FORBIDDEN: _denied,
    HTTPStatus.NOT_FOUND: _not_there,
    HTTPStatus.CONFLICT: _busy,
    HTTPStatus.GONE: _not_there,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _too_much,
    HTTPStatus.LOCKED: _busy,
    HTTPStatus.TOO_MANY_REQUESTS: _busy,
    460: _busy,  # tus: the bytes of a request did not have their checksum
    HTTPStatus.INTERNAL_SERVER_ERROR: _busy,
    HTTPStatus.INSUFFICIENT_STORAGE: _full,
}


def refused(bag: str, reasons: tuple[str, ...]) -> BagRefused:
    """For a bag that breaks rules of its route."""
    return BagRefused(
        f"The server does not take {escape(bag)}: {'; '.join(map(escape, reasons))[: 10 * _LONGEST]}",
        where=KEPT,
        next_step="Change what this says, then send again",
    )
