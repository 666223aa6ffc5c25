"""The values of an arrival's fields: from its folder and name, what every arrival has, looked up, from own fields.

Values from the name are recorded at the claim. Values that are looked up may change: each attempt finds them again,
and they are recorded in the commit after which something may be published. From then on the recorded values count, so
that a delivery that a crash interrupted is finished at the same place, whatever the table says now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

from dropslot.arrivals.delivery import content
from dropslot.arrivals.delivery.work import Work
from dropslot.audit.canonical import text_of
from dropslot.config import Config, Route, load_dotted
from dropslot.config.mistakes import blame
from dropslot.core.context import kept
from dropslot.core.dates import WEEKDAYS
from dropslot.core.errors import BadOption, DropslotError, Refused
from dropslot.core.names import escape, invisible
from dropslot.core.templates import GIVEN, Template
from dropslot.fields.base import Field, FieldFailed
from dropslot.fields.name import NamePattern
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


def collect(work: Work, faults: list[str]) -> dict[str, str]:
    """All values, and `work.recorded`, those to be kept with the arrival; why it does not fit is added to `faults`."""
    values = {**work.folders.fields, **_of_name(work, faults), **_given(work)}
    if work.committed:
        work.recorded = dict(work.arrival.fields)
        return values | work.recorded
    for field in fields_of(work.config, work.route):
        # A field of one's own may count on what the name should have given.
        if not faults or is_ours(field):
            values.update(_values_of(field, work.name, values, faults))
    in_paths = used(work.route)
    kept = {name: value for name, value in values.items() if name not in GIVEN or name in in_paths}
    work.recorded = {name: text_of(value) for name, value in kept.items()}
    return values


def _of_name(work: Work, faults: list[str]) -> Mapping[str, str]:
    pattern = work.route.name
    matched = NamePattern(pattern).values(work.name) if pattern is not None else {}
    if matched is None and pattern is not None:
        faults.append(mismatch(work.route, work.name))
    return matched or {}


def mismatch(route: Route, name: str) -> str:
    """That a name does not match the route's pattern: the rule in words, where there is one, then the pattern."""
    shown, pattern = f"{escape(name)}{invisible(name)}", route.name.pattern if route.name else ""
    if not route.name_help:
        return f"The name {shown} does not match the pattern {pattern} of the route"
    return f"The name {shown} does not match. {route.name_help.rstrip('.')} (pattern {pattern})"


def _given(work: Work) -> dict[str, str]:
    day = work.arrival.received_at.astimezone(work.config.zone).date()
    values = {"date": day.isoformat(), "weekday": WEEKDAYS[day.weekday()]}
    if not work.committed and wants_mime(work.route) and (found := content.type_of(work)):
        values["mime"] = found
    return values


def _values_of(field: Field, name: str, known: dict[str, str], faults: list[str]) -> Mapping[str, str]:
    title = f"{type(field).__module__}.{type(field).__qualname__}"
    try:
        found = field.values(name, MappingProxyType(known))
        _require_texts(found, known)
    except Refused as refusal:
        faults.extend(refusal.reasons)
        return {}
    except DropslotError:
        raise
    except Exception as error:
        if is_ours(field):
            raise  # the database: the worker knows what to do
        raise FieldFailed(
            f"Field {title} failed: {blame.in_words(error)}",
            where="Nothing of the arrival was delivered; it waits in processing and is retried",
            next_step="If this repeats, fix the field or take it out of the route",
        ) from error
    if found is None:
        faults.append(f"The field {title} has no value for the name {escape(name)}")
    return found or {}


def _require_texts(found: object, known: Iterable[str]) -> None:
    """A mistake in a field must not look like a value."""
    if found is None:
        return
    if not isinstance(found, Mapping):
        raise TypeError(
            f"a field must return a mapping of names to texts; it returned {type(found).__name__}"
        )
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"a field must return texts; it returned {name!r}: {value!r}")
    if twice := sorted(set(found) & set(known)):
        raise ValueError(f"a field must return new names; {twice[0]} already exists")
