"""Keys of config.yaml: what is removed from files before they are delivered."""

from __future__ import annotations

from pydantic import BaseModel

from dropslot.config.sections import Part, RouteRule


class Keys(BaseModel):
    """Keys of a route."""


PARTS: tuple[Part, ...] = ()
RULES: tuple[tuple[frozenset[str], RouteRule], ...] = ()
