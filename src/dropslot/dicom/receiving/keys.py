"""Keys of config.yaml: scanners and archives that may send to a route."""

from __future__ import annotations

from pydantic import BaseModel

from dropslot.config.sections import Part, RouteRule


class Keys(BaseModel):
    """Keys of a route."""


PARTS: tuple[Part, ...] = ()
RULES: tuple[tuple[frozenset[str], RouteRule], ...] = ()
