"""Where items are delivered; one file a kind. `base` is the contract that every kind keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache

from dropslot.config import Deliver
from dropslot.core.addresses import is_remote
from dropslot.destinations.base import Destination, Target
from dropslot.destinations.local.destination import Local


@cache
def _local() -> Destination:
    # One for the whole process, so that the drops of a batch are synced together.
    return Local()


def for_rule(rule: Deliver) -> Destination:
    """The destination of one entry of `deliver`."""
    if not is_remote(rule.to):
        return _local()
    from dropslot.destinations.sftp import (
        rules,  # its library takes a quarter of a second: only who needs it waits
    )

    return rules.for_rule(rule)


def for_url(url: str) -> Destination:
    """The destination that a resolved target belongs to."""
    if not is_remote(url):
        return _local()
    from dropslot.destinations.sftp import rules

    return rules.for_url(url)


def read(url: str, name: str) -> Iterator[bytes]:
    """The bytes of one stored file, for fixity. Raises FileNotFoundError when it is gone."""
    return for_url(url).read(Target(url, url), name)


def close() -> None:
    """End what destinations keep open, connections and their thread: before a fork. They are made anew when needed."""
    if runtime := sys.modules.get("dropslot.sftp.runtime"):
        runtime.close()
