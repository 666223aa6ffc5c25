"""Where items are delivered; one room a kind. `base` is the contract that every kind keeps."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module

from dropslot.config import Deliver
from dropslot.core.addresses import scheme_of
from dropslot.destinations.base import Destination, Kind, Target

# By the scheme of their addresses; without one, it is a path of this machine. Each module has a KIND, and is imported
# when it is first needed: asyncssh takes a quarter of a second.
KINDS = {"": "dropslot.destinations.local.kind", "sftp": "dropslot.destinations.sftp.kind"}


def kind_of(address: str) -> Kind:
    """The kind of destination that an address belongs to."""
    kind: Kind = import_module(KINDS[scheme_of(address)]).KIND
    return kind


def for_rule(rule: Deliver) -> Destination:
    """The destination of one entry of `deliver`."""
    return kind_of(rule.to).for_rule(rule)


def for_url(url: str) -> Destination:
    """The destination that a resolved target belongs to."""
    return kind_of(url).for_url(url)


def read(url: str, name: str) -> Iterator[bytes]:
    """The bytes of one stored file, for fixity. Raises FileNotFoundError when it is gone."""
    return for_url(url).read(Target(url, url), name)


def close() -> None:
    """End what destinations keep open, connections and their thread: before a fork. They are made anew when needed."""
    for name in KINDS.values():
        if module := sys.modules.get(name):
            module.KIND.close()
