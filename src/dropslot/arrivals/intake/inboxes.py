"""The entries of an inbox, and why they are still there; works without a running service."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dropslot.config.route_folders import FolderSet
from dropslot.watching import reasons
from dropslot.watching.temporary import TemporaryNames


def entries(folders: FolderSet) -> Iterator[tuple[str, reasons.Why]]:
    """The names without litter, and why each is there; empty if the inbox cannot be listed, which `doctor`
    reports."""
    temporary = TemporaryNames.of(folders.route)
    inbox = str(folders.inbox)
    for name in _names(inbox):
        if folders.route.litter.match(name):
            continue
        why = reasons.explain(folders.route, inbox, name, temporary)
        if why is not None:  # else taken just now
            yield name, why


def _names(inbox: str) -> list[str]:
    try:
        return sorted(os.listdir(inbox))
    except OSError:
        return []
