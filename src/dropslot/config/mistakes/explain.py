"""pydantic's errors in the words of people who write config.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dropslot.core.concealing import is_secret
from dropslot.core.settings.config_errors import NO_VALUE, Location, Problem, key_of

# What is below these keys is a secret as a whole: anyone who knows an address of `notify` can write there.
_HIDDEN_KEYS = frozenset({"notify", "broker"})

_WORDS = {
    "missing": "expected a value: the key is missing",
    "string_type": "expected a text; put it in quotes if it looks like a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "model_attributes_type": "expected a mapping of keys to values",
    "path_type": "expected a path",
}


def explain(
    error: ValidationError, model: type[BaseModel], prefix: Location
) -> Iterator[tuple[Location, Problem]]:
    """The mistakes in what was to become `model` at `prefix`, each with its place; lines are left to the
    caller."""
    for details in _mistakes(error):
        location = _location(details)
        yield prefix + location, _problem(details, model, prefix, location)


def unknown(location: Location, value: Any, owner: type[BaseModel]) -> Problem:
    """The mistake of a key that `owner` does not have. What may be a secret is not shown."""
    key = str(location[-1])
    known = {name for name, field in keys_of(owner).items() if not field.exclude}
    shown = NO_VALUE if _hides_secret(location) or isinstance(value, (Mapping, list)) else value
    expected = known_key(key, known)
    if is_secret(key):
        expected = "expected no secret in this file: secrets come from the environment, as X or X_FILE"
    return Problem(key_of(location), shown, expected)


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names that they have in config.yaml: `from` can be no name in Python."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _location(details: ErrorDetails) -> Location:
    """Without pydantic's word for a mistake in a key itself, which may also be the name of an unknown key."""
    if details["type"] == "extra_forbidden":
        return details["loc"]
    return tuple(step for step in details["loc"] if step != "[key]")


def faulty_keys(error: ValidationError) -> set[str]:
    """The model's own keys in which something is wrong."""
    return {str(details["loc"][0]) for details in _mistakes(error) if details["loc"]}


def _mistakes(error: ValidationError) -> list[ErrorDetails]:
    """Without mistakes that only follow from another one."""
    details = error.errors(include_url=False)
    return [entry for entry in details if entry["type"] != "default_factory_not_called"]


def known_key(key: str, known: Iterable[str]) -> str:
    """What was expected instead of the unknown `key`."""
    known = sorted(known)
    if near := get_close_matches(key, known, n=1, cutoff=0.6):
        return f"expected a known key; did you mean {near[0]}?"
    return f"expected one of the keys {', '.join(known)}"


def _problem(details: ErrorDetails, model: type[BaseModel], prefix: Location, location: Location) -> Problem:
    owner, field = _owner(model, location)
    if details["type"] == "extra_forbidden":
        return unknown(prefix + location, details["input"], owner)
    value = NO_VALUE if details["type"] == "missing" or _hides_secret(prefix + location) else details["input"]
    return Problem(key_of(prefix + location), value, _expected(details), example=_example(location, field))


def _hides_secret(location: Location) -> bool:
    """A database URL may hold a password, however it is malformed."""
    names = [step for step in location if isinstance(step, str)]
    return location == ("database",) or any(is_secret(name) or name in _HIDDEN_KEYS for name in names)


def _expected(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _choices(context["expected"], details["input"])
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = context.get("ge", context.get("le"))
        return f"expected {bound} or {'more' if kind.startswith('greater') else 'less'}"
    if kind in {"too_short", "too_long"}:
        return f"expected {'at least' if kind == 'too_short' else 'no more than'} one entry"
    return _WORDS.get(kind) or f"expected something else: {details['msg']}"


def _choices(expected: str, value: Any) -> str:
    choices = expected.replace("'", "").replace(" or ", ", ").split(", ")
    near = get_close_matches(str(value), choices, n=1, cutoff=0.5)
    return f"expected {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}" + (
        f"; did you mean {near[0]}?" if near else ""
    )


def _owner(model: type[BaseModel], location: Location) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model that the last key belongs to, and that key's field."""
    field: FieldInfo | None = None
    for step in location:
        if isinstance(step, int):
            continue
        if field is not None and (inner := _model_in(field.annotation)):
            model = inner
        field = keys_of(model).get(
            str(step), field if field is not None and not _model_in(field.annotation) else None
        )
    return model, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _example(location: Location, field: FieldInfo | None) -> str:
    if field is None or not field.examples:
        return ""
    key = next(str(step) for step in reversed(location) if isinstance(step, str))
    text = yaml.safe_dump({key: field.examples[0]}, default_flow_style=True, sort_keys=False, width=1000)
    return text.strip()[1:-1]
