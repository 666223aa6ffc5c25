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


NEXT: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.READY}),
    State.READY: frozenset({State.PROCESSING}),
    # processing to processing is a takeover; to ready, a large arrival given back by a batch.
    State.PROCESSING: frozenset({State.PROCESSING, State.READY, State.RETRYING, State.DONE, State.FAILED}),
    State.RETRYING: frozenset({State.PROCESSING}),
    State.FAILED: frozenset({State.READY}),
    State.DONE: frozenset(),
}

UNFINISHED = (State.WAITING, State.READY, State.PROCESSING, State.RETRYING)


def may_become(now: State, then: State) -> bool:
    """Whether an arrival in state `now` may go to state `then`."""
    return then in NEXT[now]
