"""The look-ups and own fields of a route. They are made at start, once in a process."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple

from dropslot.arrivals import registry
from dropslot.arrivals.importers import Importer
from dropslot.config import Config, Deliver, Route, load_dotted
from dropslot.config.plugins import make_named
from dropslot.core.context import kept
from dropslot.core.errors import BadOption
from dropslot.core.templates import GIVEN, Template
from dropslot.fields.base import Field, ItemField
from dropslot.lookup import field as lookup

MIME = "mime"


class Fields(NamedTuple):
    """The fields of a route: those of its arrivals, and those of each of their items."""

    of_arrivals: list[Field]
    of_items: list[ItemField]
    importer: Importer | None  # gives more fields of items
    by_item: dict[str, frozenset[str]]  # by rule: the fields that may differ by item
    in_paths: frozenset[str]  # all fields in the paths of the route


class _Made(dict[int, tuple[Route, Fields]]):
    """The fields of each route, by its id(). Keeping the route ensures that no other object gets the same id."""


def make_fields(config: Config) -> None:
    """Make the fields of all routes at start. Raises BadOption for a field that cannot be made. If all fields declare
    what they give, it also raises BadOption for a path with an unknown field."""
    for route in config.routes.values():
        fields = fields_of(config, route)
        _require_new(route, fields)
        if route.fields and all(
            field.gives is not None for field in fields.of_arrivals if not is_ours(field)
        ):
            _require_known(route, fields)


def fields_of(config: Config, route: Route) -> Fields:
    """Look-ups, then the route's own fields, made once in a process."""
    made = kept(_Made)
    if id(route) not in made:
        own = [_field(route.key, *pair) for entry in route.fields for pair in entry.items()]
        of_arrivals: list[Field] = [field for field in own if isinstance(field, Field)]
        of_items = [field for field in own if isinstance(field, ItemField)]
        importer = registry.importer(route)
        names = {MIME}.union(*(field.gives for field in of_items), importer.gives if importer else ())
        by_item = {rule.to: frozenset(used_by(rule) & names) for rule in route.deliver}
        of_arrivals = [*lookup.for_route(config, route), *of_arrivals]
        made[id(route)] = (route, Fields(of_arrivals, of_items, importer, by_item, frozenset(used(route))))
    return made[id(route)][1]


def _field(route: str, dotted: str, option: Any) -> Field | ItemField:
    title = f"Field {dotted!r} of route {route}"
    bases: tuple[type[Field | ItemField], ...] = (Field, ItemField)
    made = make_named(lambda: load_dotted(dotted)(option), bases, title, "Correct its entry in config.yaml")
    if isinstance(made, ItemField) and not getattr(made, "gives", None):
        raise BadOption(
            f"Field {dotted!r} of route {route} does not say what it `gives`",
            next_step="A field of items must have it, as in: gives = frozenset({'series'})",
        )
    return made


def is_ours(field: Field) -> bool:
    """Whether the field is a look-up."""
    return isinstance(field, lookup.FolderLookup)


def _require_new(route: Route, fields: Fields) -> None:
    """Raise BadOption if a field of items gives a name that already exists."""
    known = _of_arrivals(route, fields) | (fields.importer.gives if fields.importer else frozenset())
    for field in fields.of_items:
        if twice := sorted(known & field.gives):
            raise BadOption(
                f"{type(field).__module__}.{type(field).__name__} of route {route.key} gives {twice[0]} of each item,"
                " which already exists",
                next_step="Give it another name",
            )
        known |= field.gives


def _of_arrivals(route: Route, fields: Fields) -> set[str]:
    known = set(Template(route.inbox).fields | GIVEN).union(route.name.groupindex if route.name else ())
    return known | {each.field for each in route.lookup}.union(*(f.gives or () for f in fields.of_arrivals))


def _require_known(route: Route, fields: Fields) -> None:
    known = _of_arrivals(route, fields).union(*(field.gives for field in fields.of_items))
    known |= fields.importer.gives if fields.importer else set()
    for field in sorted(used(route) - known):
        raise BadOption(
            f"Nothing provides the field {field}, which `deliver` of route {route.key} uses; the fields are"
            f" {', '.join(sorted(known))}",
            next_step="Correct `to`, `must_exist` or `group`, or what the field says that it `gives`",
        )


def used(route: Route) -> set[str]:
    """The fields in the paths of a route."""
    return set().union(*map(used_by, route.deliver))


def used_by(rule: Deliver) -> set[str]:
    """The fields in the paths of one rule."""
    return set().union(*(_fields_in(text) for _, text in rule.texts))


@cache
def _fields_in(text: str) -> frozenset[str]:
    return Template(text).fields


def asked_of_items(config: Config, rule: Deliver, route: Route, known: Collection[str]) -> set[str]:
    """The fields of a rule that need item values, if the arrival's own values are `known`."""
    return {name for name in fields_of(config, route).by_item[rule.to] if name not in known}


def wants_mime(config: Config, route: Route) -> bool:
    """Whether a field of arrivals may need the type of a single file before its items are listed."""
    return not all(map(is_ours, fields_of(config, route).of_arrivals))
