"""What `openapi.json` says: the operations as ninja describes them, with the errors that each may answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from dropslot.access.roles import Scope
from dropslot.api.app import api
from dropslot.api.authentication import SCOPES
from dropslot.api.dicomweb import description as stow
from dropslot.api.problems import CONTENT_TYPE, Problem
from dropslot.api.tus import description as tus

_TAGS = {
    "account": "Who calls.",
    "acknowledgments": "Evidence that recipients fetched deliveries.",
    "arrivals": "What was taken from the inboxes, and what became of it.",
    "deliveries": "Which file went where.",
    "dicom": "Patients, studies, series and instances of routes that import images.",
    "events": "The audit trail.",
    "reidentification": "Who a de-identified patient is.",
    "receipts": "Signed summaries of finished arrivals.",
    "routes": "The ways from an inbox to its destinations.",
    "service": "Whether all is well.",
    "uploads": "What the account sent.",
}
_SIGN_IN = "Send the header `Authorization: Bearer TOKEN`"
# Status: when it is answered, and an example of title, next step and code.
_ERRORS: dict[str, tuple[str, str, str, str]] = {
    "400": ("The body cannot be read.", "The body cannot be read", "Send JSON in UTF-8", "bad-body"),
    "401": (
        "Nobody is signed in, or the token is unknown, expired or revoked.",
        "Nobody is signed in",
        _SIGN_IN,
        "not-signed-in",
    ),
    "403": (
        "The token lacks the scope, the account may not do this, or X-CSRFToken is missing.",
        "This token does not have the scope operate",
        "Use a token that has it",
        "denied",
    ),
    "404": (
        "There is no such thing, or the account may not see it.",
        "There is no such arrival, or you may not see it",
        "The listing has those that you may see",
        "not-there",
    ),
    "405": (
        "The address has no such method; the header `Allow` names those that it has.",
        "PUT is not possible here",
        "Use GET",
        "method",
    ),
    "409": (
        "This cannot be done in the present state. Nothing was changed.",
        "Arrival 01KBE8QZ3M5V9T2R7XWC4N6PHA (heart-1) is done, not failed",
        "To deliver a finished one again, move it from done to the inbox",
        "not-failed",
    ),
    "413": (
        "The body is larger than 2.5 MB.",
        "The body is too large",
        "Upload files by tus, at /api/v1/tus/",
        "too-big",
    ),
    "422": (
        "A parameter or field is not valid; `errors` names it.",
        "Not valid: limit",
        "Correct what `errors` names",
        "not-valid",
    ),
    "429": (
        "Too many wrong tokens came from this address; the header `Retry-After` says how long to wait.",
        "Too many wrong tokens came from this address",
        "Wait 60 s",
        "too-many",
    ),
    "500": (
        "A fault in dropslot; the portal's log has the reason.",
        "A fault in dropslot",
        "Tell an operator the time of this call",
        "unforeseen",
    ),
    "503": (
        "The database does not answer.",
        "The database does not answer",
        "Try again in a minute. Nothing was changed.",
        "database",
    ),
}
_LOOKS_UP = "/receipts"  # one thing by a parameter
_ALWAYS = frozenset({"401", "403", "405", "429", "500", "503"})
_OF_BODIES = frozenset({"400", "409", "413", "422"})


def described(prefix: str) -> dict[str, Any]:
    """The whole description, as OpenAPI 3.1; `prefix` is the path below which the API is."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix=prefix)))
    found["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    found["components"]["schemas"].update(_schema(Problem))
    for path, method, operation in operations(found):
        operation["operationId"] = operation["operationId"].rpartition("endpoints_")[2]
        operation["summary"] = operation["description"].partition(".")[0].partition(":")[0]
        operation["responses"].update(_errors(path, method, operation))
        operation["security"] = [*({"Bearer": [scope]} for scope in operation[SCOPES]), {"Session": []}]
        for parameter in operation["parameters"]:
            _tidy(parameter)
    _add_uploads(found, prefix)
    return found


# What the protocol answers besides: a version that is not spoken, an offset that is not the server's, another writer.
_OF_TUS = {
    "412": (
        "Tus-Resumable is missing or another version.",
        "The version of the tus protocol is 1.0.0",
        "Send it",
    ),
    "415": (
        "The body is of another type.",
        "The body is not of the type that this address takes",
        "Send the type that the description names",
    ),
    "423": ("Another request is writing this upload.", "Another request is writing this upload", "Wait"),
    "460": (
        "The checksum does not fit; nothing was kept.",
        "The checksum does not fit",
        "Send the bytes again",
    ),
    "507": (
        "The disk of the inbox is full; what came is kept.",
        "The disk of the inbox is full",
        "Resume later",
    ),
}


def _add_uploads(found: dict[str, Any], prefix: str) -> None:
    """The calls of tus and of STOW-RS, with who may make them and what else they answer."""
    more = tus.paths(prefix)
    for path, _, operation in operations({"paths": more}):
        operation[SCOPES] = [Scope.UPLOAD.value]
        operation["security"] = [{"Bearer": [Scope.UPLOAD.value]}, {"Session": []}]
        statuses = {*_ALWAYS, *_OF_BODIES, *_OF_TUS} | ({"404"} if "{" in path else set())
        operation["responses"] |= {status: _error(status) for status in sorted(statuses)}
    stored = stow.paths(prefix)
    for _, _, operation in operations({"paths": stored}):
        operation[SCOPES] = [Scope.UPLOAD.value]
        operation["security"] = [{"Bearer": [Scope.UPLOAD.value]}, {"Session": []}]
        statuses = {*_ALWAYS, "400", "415", "422"}
        operation["responses"] |= {status: _error(status) for status in sorted(statuses)}
    found["paths"] |= more | stored


def operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in small letters, and the operation."""
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _tidy(parameter: dict[str, Any]) -> None:
    """A parameter has one example; ninja gives it a list, which OpenAPI has for schemas only."""
    examples = parameter.pop("examples", [])
    if examples:
        parameter["example"] = examples[0]
    if parameter["in"] == "path":
        parameter["description"] = "The whole id."


def _errors(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    statuses = set(_ALWAYS)
    if "{" in path or path.endswith(_LOOKS_UP):
        statuses.add("404")
    if method == "post":
        statuses |= _OF_BODIES
    if operation["parameters"]:
        statuses.add("422")
    return {status: _error(status) for status in sorted(statuses)}


def _error(status: str) -> dict[str, Any]:
    when, title, next_step, code = _ERRORS.get(status) or (*_OF_TUS[status], "upload")
    example = {
        "type": "about:blank",
        "title": title,
        "status": int(status),
        "next_step": next_step,
        "code": code,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    return {"description": when, "content": {CONTENT_TYPE: content}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model and those that it names, for `components`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}
