"""What is wrong with the time stamps, for `doctor` and `health`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from dropslot.arrivals.registry import Finding, Late
from dropslot.audit import chain
from dropslot.audit.chain import GENESIS, Head
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.core.errors import DropslotError
from dropslot.core.troubles import TroubleKind
from dropslot.timestamps import stamping
from dropslot.timestamps.section import Authority, authority_of

_ABOUT = "time stamps"
REMEDY = "dropslot doctor says what the authority answers"
_FIRST_LATE = timedelta(hours=1)


def findings(config: Config) -> Iterator[Finding]:
    """Ask the authority for a stamp, and throw it away: the trail is not changed."""
    authority = authority_of(config)
    if authority is None:
        return
    from dropslot.timestamps import stamp_request, trusted  # not for `late`, which the portal calls

    try:
        made = stamp_request.ask(authority, trusted.roots(config), _head())
    except DropslotError as error:
        yield Finding("error", _ABOUT, error.what, error.next_step)
        return
    yield Finding("ok", _ABOUT, f"{authority.url} stamps, as {made.signer or 'an authority without a name'}")


def _head() -> Head:
    head = chain.head()
    return head if head != GENESIS else Head(1, GENESIS.hash)


def late(config: Config) -> Iterator[Late]:
    """That what happened first after the last stamp has waited too long for one."""
    authority = authority_of(config)
    if authority is None:
        return
    last = stamping.newest()
    since = _first(stamping.unproved(last.head.seq if last else 0))
    if since is None or datetime.now(UTC) - since <= _too_long(authority):
        return
    what = f"the head of the trail has had none since {since:%Y-%m-%d %H:%M} UTC (every: {authority.every})"
    yield Late(_ABOUT, what, REMEDY, kind=TroubleKind.TIMESTAMP)


def _too_long(authority: Authority) -> timedelta:
    return 2 * authority.every + _FIRST_LATE


def _first(events: QuerySet[Event]) -> datetime | None:
    """When the first of them was recorded. None: there are none, or somebody has changed it, which `verify` reports."""
    at = events.order_by("seq").values_list("at", flat=True).first()
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(at or "").astimezone(UTC)
    return None
