"""Where the bytes of an arrival are now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dropslot.arrivals import whereabouts
from dropslot.arrivals.delivery.refusal_reason import PURGED
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.whereabouts import folders_of
from dropslot.config import Config
from dropslot.core.names import escape
from dropslot.core.states import State


def where_is(config: Config, row: Arrival, *, with_path: bool) -> dict[str, Any]:
    """The folder that an arrival is in, and its path, escaped, `with_path`."""
    if row.state == State.DONE:
        return _said("done" if row.archived_as else "destinations", row.archived_as if with_path else "")
    if PURGED in row.evidence:
        return _said("removed", "")
    places = list(_places(config, row))
    # After `retry` it stays in failed until a worker takes it: the disk knows.
    folder, path = next((place for place in places if os.path.lexists(place[1])), places[0])
    return _said(folder, escape(str(path)) if with_path else "")


def _said(folder: str, path: str) -> dict[str, Any]:
    return {"folder": folder, "path": path or None}


def _places(config: Config, row: Arrival) -> Iterator[tuple[str, Path]]:
    """Where it may be, the likeliest first."""
    name = os.fsdecode(bytes(row.name_bytes))
    inbox = "inbox", Path(row.inbox) / name
    folders = folders_of(config, row)
    if folders is None or row.in_place or row.state == State.WAITING:
        yield inbox
        return
    held = "processing", whereabouts.held(folders, row.id, row.epoch) / name
    refused = "failed", whereabouts.refused(folders, row.id) / name
    yield from (refused, held, inbox) if row.state == State.FAILED else (held, refused, inbox)
