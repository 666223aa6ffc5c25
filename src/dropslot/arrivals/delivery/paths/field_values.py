"""The values of an arrival's fields: from its folder and name, built-in ones, looked-up ones, and from own fields.

Values from the name are recorded at the claim. Looked-up values may change, so each attempt finds them again. The
commit of the intent records them. From then on the recorded values count: an interrupted delivery is finished at the
same place, even if the table has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from dropslot.arrivals.delivery.paths import mime_field
from dropslot.arrivals.delivery.paths.own_fields import MIME, fields_of, is_ours, wants_mime
from dropslot.arrivals.delivery.work import Work
from dropslot.audit.canonical import text_of
from dropslot.config import Route
from dropslot.config.mistakes import blame
from dropslot.core.errors import DropslotError, Refused
from dropslot.core.names import escape, invisible
from dropslot.core.showing.dates import WEEKDAYS
from dropslot.core.templates import GIVEN
from dropslot.fields.base import Field, FieldFailed, ItemField
from dropslot.fields.name import NamePattern


def collect(work: Work, faults: list[str]) -> dict[str, str]:
    """All values. Also sets `work.recorded`, the values to keep with the arrival. Reasons why the arrival does not fit
    are added to `faults`."""
    values = {**work.folders.fields, **_of_name(work, faults), **_given(work)}
    if work.committed:
        work.recorded = dict(work.arrival.fields)
        return values | work.recorded
    for field in fields_of(work.config, work.route).of_arrivals:
        # Not asked: an own field may rely on values that the name should have given.
        if not faults or is_ours(field):
            values.update(_values_of(field, work.name, values, faults))
    if values.get(MIME) == mime_field.DIRECTORY:
        del values[MIME]  # only for fields of arrivals: in a path, `mime` is the type of each item
    in_paths = fields_of(work.config, work.route).in_paths
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
    """The reason that a name does not match the route: the rule in words, if there is one, then the pattern."""
    shown, pattern = f"{escape(name)}{invisible(name)}", route.name.pattern if route.name else ""
    if not route.name_help:
        return f"The name {shown} does not match the pattern {pattern} of the route"
    return f"The name {shown} does not match. {route.name_help.rstrip('.')} (pattern {pattern})"


def _given(work: Work) -> dict[str, str]:
    day = work.arrival.received_at.astimezone(work.config.zone).date()
    values = {"date": day.isoformat(), "weekday": WEEKDAYS[day.weekday()]}
    if not work.committed and wants_mime(work.config, work.route) and (found := mime_field.type_of(work)):
        values[MIME] = work.type_seen = found
    return values


def _values_of(field: Field, name: str, known: dict[str, str], faults: list[str]) -> Mapping[str, str]:
    return ask(
        field, lambda: field.values(name, MappingProxyType(known)), known, faults, f"the name {escape(name)}"
    )


def ask(
    field: Field | ItemField,
    give: Callable[[], Mapping[str, str] | None],
    known: Iterable[str],
    faults: list[str],
    whose: str,
    about: str = "",
) -> Mapping[str, str]:
    """The values that `give`, a call of the field, returns. If the field refuses, they are empty, and `faults` gets a
    reason that begins with `about`. `known` are the names that exist. Raises FieldFailed if the field fails."""
    title = f"{type(field).__module__}.{type(field).__qualname__}"
    try:
        found = give()
        _require_texts(found, known)
    except Refused as refusal:
        faults.extend(f"{about}{reason}" for reason in refusal.reasons)
        return {}
    except DropslotError:
        raise
    except Exception as error:
        if isinstance(field, Field) and is_ours(field):
            raise  # of the database: the worker handles it
        raise FieldFailed(
            f"Field {title} failed: {blame.in_words(error)}",
            where="Nothing of the arrival was delivered; it waits in processing and is retried",
            next_step="If this repeats, fix the field or take it out of the route",
        ) from error
    if found is None:
        faults.append(f"{about}The field {title} has no value for {whose}")
    return found or {}


def _require_texts(found: object, known: Iterable[str]) -> None:
    """Raise for a wrong return value, so that a bug in a field is not taken for a value."""
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
