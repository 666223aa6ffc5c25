"""Where items are delivered; one file a kind. `base` is the contract that every kind keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from dropslot.config import Deliver
from dropslot.destinations.base import Destination, Target
from dropslot.destinations.local import Local


@cache
def _local() -> Destination:
    # One for the whole process, so that the drops of a batch are synced together.
    return Local()


def for_rule(rule: Deliver) -> Destination:
    """The destination of one entry of `deliver`."""
    return for_url(rule.to)


def for_url(url: str) -> Destination:  # noqa: ARG001 - folders of this machine are the only kind so far
    """The destination that a resolved target belongs to."""
    return _local()


def read(url: str, name: str) -> Iterator[bytes]:
    """The bytes of one stored file, for fixity. Raises FileNotFoundError when it is gone."""
    return for_url(url).read(Target(url, url), name)
