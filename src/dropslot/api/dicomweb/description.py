"""What `openapi.json` says of STOW-RS."""

from __future__ import annotations

from typing import Any

from dropslot.api.dicomweb.stow_response import JSON, XML

_TYPE = 'multipart/related; type="application/dicom"'
_STORE = (
    "Store DICOM instances (STOW-RS), each a part of the body, in the inbox of a route with `import: dicom`. What is"
    " acknowledged is synced. Whole studies become arrivals once they are quiet."
)
_STORE_STUDY = "Store DICOM instances of one study (STOW-RS). An instance of another study is a failure."
_ANSWERS = {
    "200": "All are stored: their UIDs.",
    "202": "Some are stored: the UIDs of both kinds, with the reason of each failure.",
    "409": "None is stored, with the reasons.",
}


def paths(prefix: str) -> dict[str, Any]:
    """The calls, below `prefix`."""
    own = f"{prefix.rstrip('/')}/dicomweb/studies"
    route = _parameter(
        "query", "route", "The key of the route. Default: the only one that takes studies.", "mr"
    )
    study = _parameter("path", "study", "StudyInstanceUID.", "1.2.826.0.1.3680043.8.498.1")
    return {
        own: {"post": _operation("store_instances", _STORE, [route])},
        f"{own}/{{study}}": {"post": _operation("store_instances_of_study", _STORE_STUDY, [study, route])},
    }


def _parameter(place: str, name: str, description: str, example: str) -> dict[str, Any]:
    given: dict[str, Any] = {
        "in": place,
        "name": name,
        "required": place == "path",
        "description": description,
    }
    return given | {"schema": {"type": "string"}, "example": example}


def _operation(name: str, description: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    body = {"schema": {"type": "string", "format": "binary"}}
    said = {kind: {"schema": {"type": "object"}} for kind in (JSON, XML)}
    return {
        "operationId": name,
        "summary": description.partition(".")[0],
        "description": description,
        "tags": ["uploads"],
        "parameters": parameters,
        "requestBody": {"required": True, "content": {_TYPE: body}},
        "responses": {status: {"description": text, "content": said} for status, text in _ANSWERS.items()},
    }
