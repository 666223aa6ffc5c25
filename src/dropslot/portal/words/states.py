"""The states of an arrival in words, with the colour of their label."""

from __future__ import annotations

from typing import NamedTuple

from dropslot.arrivals.models import Arrival
from dropslot.core.states import State


class Told(NamedTuple):
    """A short word, a sentence, and the name of a colour of bootstrap."""

    word: str
    sentence: str
    colour: str


_OF_STATE = {
    State.WAITING: Told("Waiting", "It is in the inbox and cannot be taken yet.", "secondary"),
    State.READY: Told("Received", "It was taken from the inbox and waits for its turn.", "info"),
    State.PROCESSING: Told("Being checked", "It is being checked and delivered.", "info"),
    State.RETRYING: Told(
        "Tries again", "It could not be delivered yet. It is tried again by itself.", "warning"
    ),
    State.DONE: Told("Sent", "All of it was delivered.", "success"),
    State.FAILED: Told("Refused", "It was refused. Nothing of it was delivered.", "danger"),
}
_PUBLISHING = Told("Checked", "It passed all checks and is being delivered.", "info")
_HELD = Told("Held", "It was checked and is whole. It waits until somebody sends it onward.", "primary")
_DISMISSED = Told("Dismissed", "It was refused, and somebody decided not to deliver it.", "secondary")
_REMOVED = Told("Removed", "It was refused, and has been removed since.", "secondary")
HELD = "held"  # stands for the state of a held arrival, which is ready
_UNKNOWN = Told("Unknown", "Its state has no name here.", "secondary")


def state_of(row: Arrival) -> str:
    """Its state for `told`."""
    return HELD if row.held_at is not None else row.state


def told(state: str, evidence: dict[str, object] | None = None, intent: object = None) -> Told:
    """What a state means for people. `evidence` and `intent` are those of the arrival's row."""
    if state == State.FAILED and evidence:
        if "purged" in evidence:
            return _REMOVED
        if "dismissed" in evidence:
            return _DISMISSED
    if state == State.PROCESSING and intent:
        return _PUBLISHING
    if state == HELD:
        return _HELD
    return _OF_STATE[State(state)] if state in set(State) else _UNKNOWN
