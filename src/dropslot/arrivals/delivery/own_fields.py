"""The fields of a route that are looked up or are somebody's own: made at start, once in a process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from dropslot.config import Config, Route, blame, load_dotted
from dropslot.core.context import kept
from dropslot.core.errors import BadOption
from dropslot.core.templates import GIVEN, Template
from dropslot.fields.base import Field
from dropslot.lookup import field as lookup


class _Made(dict[int, tuple[Route, list[Field]]]):
    """The fields of each route, by its id; the route is kept, so that its id stays its own."""


def make_fields(config: Config) -> None:
    """Make the fields of all routes at start. Raises BadOption for one that cannot be made, and for a path with a
    field that none of them gives, where they say what they give."""
    for route in config.routes.values():
        fields = fields_of(config, route)
        if route.fields and all(field.gives is not None for field in fields if not is_ours(field)):
            _require_known(route, fields)


def fields_of(config: Config, route: Route) -> list[Field]:
    """Look-ups, then the route's own, made once in a process."""
    made = kept(_Made)
    if id(route) not in made:
        own = [_field(route.key, *pair) for entry in route.fields for pair in entry.items()]
        made[id(route)] = (route, [*lookup.for_route(config, route), *own])
    return made[id(route)][1]


def _field(route: str, dotted: str, option: Any) -> Field:
    try:
        made = load_dotted(dotted)(option)
    except Exception as error:
        raise BadOption(
            f"Field {dotted!r} of route {route} cannot be created: {blame.in_words(error)}",
            next_step="Correct its entry in config.yaml",
        ) from error
    if not isinstance(made, Field):
        raise BadOption(f"{dotted!r} of route {route} is not a dropslot.fields.base.Field")
    return made


def is_ours(field: Field) -> bool:
    """Whether it is a look-up."""
    return isinstance(field, lookup.FolderLookup)


def _require_known(route: Route, fields: Sequence[Field]) -> None:
    known = Template(route.inbox).fields | set(route.name.groupindex if route.name else ()) | GIVEN
    known |= {each.field for each in route.lookup}.union(*(field.gives or () for field in fields))
    for field in sorted(used(route) - known):
        raise BadOption(
            f"Nothing provides the field {field}, which `deliver` of route {route.key} uses; the fields are"
            f" {', '.join(sorted(known))}",
            next_step="Correct `to`, `must_exist` or `group`, or what the field says that it `gives`",
        )


def used(route: Route) -> set[str]:
    """The fields in the paths of a route."""
    texts = (text for rule in route.deliver for _, text in rule.texts)
    return set().union(*map(_fields_in, texts))


@cache
def _fields_in(text: str) -> frozenset[str]:
    return Template(text).fields


def wants_mime(route: Route) -> bool:
    """Whether the type of an arrival's content is asked for, so that it is to be read before it is staged."""
    return bool(route.fields) or "mime" in used(route)
