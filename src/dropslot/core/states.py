"""The states of an arrival and the ways between them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """`waiting`: noticed, cannot be taken yet. `ready`: claimed. `done` and `failed` are final until a retry."""

    WAITING = "waiting"
    READY = "ready"
    PROCESSING = "processing"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"


class Outcome(StrEnum):
    """What became of one item at one destination."""

    DELIVERED = "delivered"
    UNCHANGED = "unchanged"


class ShareState(StrEnum):
    """Of some items of a large arrival. `given-up`: a helper could not stage them, so the holder does."""

    OPEN = "open"
    TAKEN = "taken"
    STAGED = "staged"
    GIVEN_UP = "given-up"


UNFINISHED = (State.WAITING, State.READY, State.PROCESSING, State.RETRYING)
