"""The key `report_by` of a route. Nothing here needs Django."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from dropslot.config.sections import Found, RouteRule, Section, broken
from dropslot.core.templates import Template

if TYPE_CHECKING:
    from dropslot.config.models import Route

USUAL = ("study", "folder")


class RouteKeys(BaseModel):
    """What reports add to a route."""

    report_by: str | None = Field(
        None,
        description="The field whose values are the lines of this route in a monthly report, as the study or the"
        " clinic. Default: `study` if the route has this field, else `folder`, else the field of its first `lookup`;"
        " a route with none of them is one line. `''`: one line.",
        examples=["study"],
    )


class ReportsSection(Section):
    """The key of reports."""

    route_keys = RouteKeys

    def rules(self) -> Iterable[tuple[frozenset[str], RouteRule]]:
        return ((frozenset({"report_by", "name", "folders", "inbox", "lookup"}), _is_known),)


SECTION = ReportsSection()


def report_by(route: Route) -> str:
    """The field that the lines of a route are by; empty: it is one line."""
    asked = route.report_by if isinstance(route, RouteKeys) else None
    if asked is not None:
        return asked
    candidates = [*(name for name in USUAL if name in _fields(route)), *(one.field for one in route.lookup)]
    return next(iter(candidates), "")


def _fields(route: Route) -> set[str]:
    named = set(route.name.groupindex) if route.name else set()
    return named | Template(route.inbox).fields | {lookup.field for lookup in route.lookup}


def _is_known(route: Route) -> Found:
    asked, known = route.report_by if isinstance(route, RouteKeys) else None, _fields(route)
    if (
        asked and asked not in known and not route.fields
    ):  # what own fields give is known only when they are made
        expected = (
            f"expected a field that folders, name or lookup give: {', '.join(sorted(known)) or 'it has none'}"
        )
        yield broken(route, ("report_by",), asked, expected, "report_by: study")
