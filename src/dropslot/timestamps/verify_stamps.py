"""Verifies every time stamp of the trail: that it is of an event which is still what it was, and was signed by an
authority that is trusted here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from dropslot.audit.chain import Head
from dropslot.audit.models import Event
from dropslot.audit.verification_report import Report
from dropslot.audit.verifying.verify import hashes
from dropslot.config import Config
from dropslot.core.errors import BadOption
from dropslot.timestamps import recorded, trusted
from dropslot.timestamps.stamp_request import CLOCKS_APART
from dropslot.timestamps.stamps import NotProven, proven

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# Between the authority's time and that of the event: the clocks may have been that far apart, and the answer took time.
APART = 2 * CLOCKS_APART
_PAGE = 200


@dataclass(slots=True)
class StampsReport(Report):
    """`checked` counts stamps. The whole trail up to event `seq` existed at the time `at`: the newest good stamp."""

    seq: int = 0
    at: datetime | None = None


def check(config: Config) -> StampsReport:
    """Verify all of them. Raises nothing that config.yaml or the trail is to blame for: it is a fault."""
    report = StampsReport()
    if not recorded.stamps().exists():
        return report
    try:
        roots = trusted.roots(config)
    except BadOption as error:
        report.fault("time stamps", f"they cannot be verified: {error}")
        return report
    for events in _pages():
        for event in events:
            report.checked += 1
            _check(report, event, roots)
    return report


def _pages() -> Iterator[list[Event]]:
    after = 0
    while page := list(islice(recorded.stamps().filter(seq__gt=after).order_by("seq"), _PAGE)):
        yield page
        after = page[-1].seq


def _check(report: StampsReport, event: Event, roots: Collection[Certificate]) -> None:
    try:
        found = recorded.read(event)
        stamp = proven(found.response, found.head, roots)
        _require_in_chain(event, found.head)
        _require_same_times(event, stamp.at, found.at)
    except (ValueError, NotProven) as error:
        what = error.what if isinstance(error, NotProven) else str(error)
        report.fault(f"time stamp in event {event.seq}", what)
    else:
        report.seq, report.at = found.head.seq, stamp.at


def _require_in_chain(event: Event, head: Head) -> None:
    if not 0 < head.seq < event.seq:
        raise ValueError(f"it is of event {head.seq}, which does not stand before it")
    stored = hashes("default", [head.seq]).get(head.seq)
    if stored != head.hash:
        what = f"the chain has {stored}" if stored else "it is gone"
        raise ValueError(f"it proves event {head.seq} to be {head.hash}, but {what}: the chain was rewritten")


def _require_same_times(event: Event, stamped: datetime, recorded_at: datetime) -> None:
    if abs(stamped - recorded_at) >= timedelta(seconds=1):
        raise ValueError(f"it was made at {stamped:%Y-%m-%d %H:%M:%S} UTC, which its event does not say")
    if abs(datetime.fromisoformat(event.at) - stamped) > APART:
        raise ValueError(
            f"it was made at {stamped:%Y-%m-%d %H:%M:%S} UTC, but its event says that it was written at {event.at}:"
            " times in the trail were changed, or a clock was wrong"
        )
