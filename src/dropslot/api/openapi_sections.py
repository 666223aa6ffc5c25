"""An OpenAPI description in the order and the words in which people read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dropslot.api.authentication import SCOPES
from dropslot.api.description import operations
from dropslot.api.tus import tus_headers

_MOST_DEEP = 3


Words = list[tuple[str, bool]]  # pieces of a text, and whether each is code


@dataclass(frozen=True, slots=True)
class Key:
    """One parameter, or one key of an object. `name` has dots for keys of keys."""

    name: str
    kind: str
    description: Words
    is_required: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One status that a call may answer."""

    status: str
    description: Words


@dataclass(frozen=True, slots=True)
class Call:
    """One operation. `scopes`: a token needs one of them."""

    id: str
    method: str
    path: str
    description: Words
    scopes: list[str]
    parameters: list[Key]
    body: list[Key]
    keys: list[Key]
    answers: list[Answer]
    curl: str


@dataclass(frozen=True, slots=True)
class Section:
    """The calls about one thing."""

    name: str
    description: Words
    calls: list[Call]


def sections(description: dict[str, Any]) -> list[Section]:
    """Every operation, under its first tag."""
    schemas = description["components"]["schemas"]
    found = []
    for tag in description["tags"]:
        calls = [
            _call(schemas, path, method, operation)
            for path, method, operation in operations(description)
            if operation["tags"][-1] == tag["name"]
        ]
        found.append(Section(tag["name"], words(tag["description"]), calls))
    return [section for section in found if section.calls]


def words(text: str) -> Words:
    """A text with code between backticks, in pieces."""
    return [(piece, bool(at % 2)) for at, piece in enumerate(" ".join(text.split()).split("`")) if piece]


def _call(schemas: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Call:
    body = _json(operation.get("requestBody", {}))
    answers = [
        Answer(status, words(answer["description"])) for status, answer in operation["responses"].items()
    ]
    shown = _json(next(iter(operation["responses"].values())))  # the first is of a call that succeeds
    return Call(
        operation["operationId"],
        method.upper(),
        path,
        words(operation["description"]),
        operation[SCOPES],
        [_parameter(schemas, each) for each in operation["parameters"]],
        list(_keys(schemas, body)),
        list(_keys(schemas, shown)),
        answers,
        _curl(path, method, operation, _resolved(schemas, body)),
    )


def _parameter(schemas: dict[str, Any], given: dict[str, Any]) -> Key:
    schema = given["schema"]
    return Key(given["name"], _kind(schemas, schema), words(given["description"]), given["required"])


def _json(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body that is JSON."""
    schema: dict[str, Any] = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _keys(schemas: dict[str, Any], schema: dict[str, Any], above: str = "", depth: int = 0) -> Iterator[Key]:
    """The keys of an object, and of the objects in it."""
    model = _resolved(schemas, schema)
    for name, each in model.get("properties", {}).items():
        full = f"{above}{name}"
        yield Key(full, _kind(schemas, each), _words(schemas, each), name in model.get("required", ()))
        if depth < _MOST_DEEP:
            inner, marks = _inner(schemas, each)
            yield from _keys(schemas, inner, f"{full}{marks}.", depth + 1)


def _inner(schemas: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The object in a key, and how its place is written: `items[]` for a list."""
    model = _resolved(schemas, schema)
    if model.get("type") == "array":
        return _resolved(schemas, model.get("items", {})), "[]"
    return model, ""


def _resolved(schemas: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema behind a reference, and the one beside null."""
    if "anyOf" in schema:
        schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
    if "$ref" in schema:
        found: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _kind(schemas: dict[str, Any], schema: dict[str, Any]) -> str:
    model = _resolved(schemas, schema)
    may_be_null = any(each.get("type") == "null" for each in schema.get("anyOf", ()))
    kind = " | ".join(map(str, model["enum"])) if "enum" in model else model.get("type", "any")
    if kind == "array":
        kind = f"list of {_kind(schemas, model.get('items', {}))}"
    return f"{kind}, or null" if may_be_null else kind


def _words(schemas: dict[str, Any], schema: dict[str, Any]) -> Words:
    return words(schema.get("description", "") or _resolved(schemas, schema).get("description", ""))


def _curl(path: str, method: str, operation: dict[str, Any], body: dict[str, Any]) -> str:
    parts = ['curl -H "Authorization: Bearer $TOKEN"', _METHODS.get(method, f"-X {method.upper()}")]
    given = (each for each in operation["parameters"] if each["in"] == "header")
    parts += [f"-H '{each['name']}: {each['example']}'" for each in given]
    if needed := {name: body["properties"][name]["examples"][0] for name in body.get("required", ())}:
        parts.append(f"-H 'Content-Type: application/json' -d '{json.dumps(needed)}'")
    if tus_headers.BODY in operation.get("requestBody", {}).get("content", {}):
        parts.append(f"-H 'Content-Type: {tus_headers.BODY}' --data-binary @FILE")
    address = path.replace("{", "$").replace("}", "")
    return " ".join(filter(None, [*parts, f'"$DROPSLOT{address}"']))


_METHODS = {"get": "", "head": "-I"}
