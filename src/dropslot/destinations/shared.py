"""Drops whose items several workers can stage: each worker some of them, one of them (the holder) all the rest.

The holder calls `begin`, stages items itself, and `end` with everybody's parts. A helper, in another process or on
another machine, calls `join` in place of `begin`, stages its items, and has them synced before it reports its part.

A helper only makes files that are not there. Whoever stages items again that a helper may have begun (`again`) removes
what it left, so that is done by the holder alone, and only if that helper has surely ended.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from dropslot.contents.base import Source, Staged
from dropslot.core.errors import DestinationUnready
from dropslot.destinations.base import Drop


class Part(NamedTuple):
    """Items that one worker has staged: their digests, joined, item after item in the order of the algorithms.
    `unleased`: how many were read without a lease. `synced`: whether the destination could sync them. `uploads`: what
    the holder needs to publish them, in a form of the destination's own."""

    digests: bytes
    unleased: int = 0
    synced: bool = True
    uploads: bytes = b""


class SharedDrop(Drop):
    """A drop that several workers may fill."""

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What leads from the folder that holds the staging to the target, or tells the store: a helper must find the
        same."""

    @property
    @abstractmethod
    def gains(self) -> bool:
        """Whether a second worker stages more in the same time."""

    @abstractmethod
    def begin(self, source: Source, algorithms: Sequence[str], strip: str) -> None:
        """Make this epoch's staging anew, with all folders of the source, if there is space for it. Raises as `stage`
        does."""

    @abstractmethod
    def join(self, source: Source, algorithms: Sequence[str], strip: str, prefix: str) -> None:
        """Open the staging that another worker has begun. `source` lists only the items that this one will stage.
        Raises TakenOver if it is gone, DestinationUnready if the target is not where the holder found it."""

    @abstractmethod
    def stage_items(self, start: int, stop: int, *, again: bool = False) -> Part:
        """Stage the items start to stop of the listing. Raises as `stage` does."""

    def adopt(self, part: Part) -> None:
        """A helper has reported this part. Called before `end`, and also if the attempt ends without it."""

    def keep_sent(self) -> None:
        """The attempt ends through no fault of the arrival. What `clean` need not remove is left to the next one."""

    @abstractmethod
    def end(self, parts: Sequence[Part]) -> list[Staged]:
        """Called with the parts of all items, in listing order, when they are staged."""


def elsewhere() -> DestinationUnready:
    """The error of a helper that does not see the holder's staging."""
    return DestinationUnready(
        "The target's place is not the one that the holder of the arrival found",
        where="Nothing was staged by this worker",
        next_step="Its holder stages these items itself",
    )
