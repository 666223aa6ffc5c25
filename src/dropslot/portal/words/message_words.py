"""States of messages in words."""

from __future__ import annotations

from typing import NamedTuple

from dropslot.notify.models import GIVEN_UP, SENDING, SENT, UNKNOWN, WAITING


class Told(NamedTuple):
    """A word and its colour."""

    word: str
    colour: str


_WORDS = {
    WAITING: Told("waits", "secondary"),
    SENDING: Told("is being sent", "secondary"),
    SENT: Told("sent", "success"),
    UNKNOWN: Told("perhaps sent", "warning"),
    GIVEN_UP: Told("not sent", "danger"),
}


def told(state: str) -> Told:
    """What a page says of a message in this state."""
    return _WORDS.get(state, Told(state, "secondary"))
