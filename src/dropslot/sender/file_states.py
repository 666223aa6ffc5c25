"""The states of a file that was sent, and of a bag."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

UPLOADING, UPLOADED = "uploading", "uploaded"  # on its way; whole in the inbox
DELIVERED, UNCHANGED, REFUSED = "delivered", "unchanged", "refused"  # as the receipt says
STATES = (UPLOADING, UPLOADED, DELIVERED, UNCHANGED, REFUSED)
# Of bags alone: about to get its final name; all of it delivered; of a ledger that was lost; to be removed.
SEALING, CLOSED, LOST, CANCELLED = "sealing", "closed", "lost", "cancelled"


class SentFile(NamedTuple):
    """A file of the ledger: one line of `dropslot sent`. `file` is its path in the arrival, `source` that on this PC;
    `at` (UTC, ends in Z) is the time of its state; `arrival` is the server's id, from the receipt, and empty before."""

    file: str
    source: str
    size_bytes: int
    sha256: str
    state: str
    at: str
    bag: str
    study: str
    inbox: str
    arrival: str
    reason: str


def now() -> str:
    """This PC's time, as it is recorded: UTC, to the millisecond."""
    return stamp(datetime.now(UTC))


def stamp(at: datetime) -> str:
    """A time of UTC as it is recorded."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
