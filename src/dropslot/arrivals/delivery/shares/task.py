"""What a helper must know to stage a share: it is in the share's row, because only the database is everywhere."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from dropslot.contents.base import Source
from dropslot.core.errors import Unsupported
from dropslot.destinations.base import Rules, Target
from dropslot.files.listing import Item, Listing

_VERSION = 1


class Task(NamedTuple):
    """`rule`: the `to` of its entry of `deliver`. `source` lists only the items of the share."""

    rule: str
    target: Target
    name: str  # of the arrival
    source: Source
    algorithms: list[str]
    strip: str
    prefix: str

    def encode(self) -> bytes:
        """For the database. Names need not be text, so this is ASCII."""
        source = self.source
        values: dict[str, Any] = {
            **self._asdict(),
            "version": _VERSION,
            "target": asdict(self.target),
            "source": os.fspath(source.path),
            "lease": source.lease,
            "is_folder": source.listing.is_folder,
            "items": source.listing.items,
        }
        return zlib.compress(json.dumps(values).encode("ascii"), 1)


def decode(data: bytes) -> Task:
    """The task in a row. Raises Unsupported if another version of dropslot wrote it."""
    values: dict[str, Any] = json.loads(zlib.decompress(data))
    if values.pop("version", None) != _VERSION:
        raise Unsupported(
            "The share was cut by another version of dropslot", next_step="Its holder stages it"
        )
    target = values.pop("target")
    listing = Listing(is_folder=values.pop("is_folder"), items=[Item(*item) for item in values.pop("items")])
    values["source"] = Source(Path(values["source"]), listing, lease=values.pop("lease"))
    return Task(target=Target(**(target | {"rules": Rules(**target["rules"])})), **values)
