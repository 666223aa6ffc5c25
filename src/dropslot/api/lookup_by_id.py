"""Looking one thing up by the id in an address: not there, and not to be seen, are the same."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from dropslot.access.roles import SEES_ROUTE
from dropslot.access.seen import Access
from dropslot.api.authentication import Asked
from dropslot.api.problems import NotThere
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.whereabouts import is_id

_Row = TypeVar("_Row", bound=Model)


def arrival_of(request: Asked, id: str) -> Arrival:
    """The arrival with this id, if it may be seen. Raises NotThere."""
    return one_of(request.access.arrivals(), id, "arrival")


def one_of(seen: QuerySet[_Row], id: str, what: str) -> _Row:
    """The row with this ULID. Raises NotThere."""
    row = seen.filter(pk=id).first() if is_id(id) else None
    if row is None:
        raise not_there(what)
    return row


def not_there(what: str) -> NotThere:
    """The error for a thing that is not there or may not be seen."""
    return NotThere(
        f"There is no such {what}, or you may not see it",
        next_step="The listing has those that you may see",
    )


def sees_route(access: Access, route: str) -> bool:
    """Whether it sees everything of a route, also paths on the server."""
    return access.has(SEES_ROUTE, route)
