"""What `openapi.json` says of uploads: tus 1.0, whose calls are not made for JSON."""

from __future__ import annotations

from typing import Any

from dropslot.api.tus import tus_headers

_TICKET = "The address is that of the header `Location` with which the upload began."


def paths(prefix: str) -> dict[str, Any]:
    """The calls of the protocol, below `prefix`."""
    own = f"{prefix.rstrip('/')}/tus/"
    ticket = [_parameter("path", name, "Of the address that the upload has.") for name in ("ticket", "part")]
    return {
        own: {"post": _operation("begin_upload", _BEGIN, [_LENGTH, _METADATA], "201", _CREATED)},
        f"{own}{{ticket}}/{{part}}": {
            "head": _operation("get_upload_offset", _OFFSET, ticket, "200", "How many bytes are there."),
            "patch": _operation("continue_upload", _PATCH, [*ticket, _AT], "204", "What came is synced."),
            "delete": _operation("cancel_upload", _DELETE, ticket, "204", "It is removed."),
        },
    }


_BEGIN = (
    "Begin to upload a file. The body may have its first bytes, or all of them. When the last byte is there, the file"
    " lies in the route's inbox; a file with `batch` waits for the others of its batch."
)
_OFFSET = f"Say how many bytes of an upload are there, once no request writes it any more (423). {_TICKET}"
_PATCH = f"Send more bytes of an upload, from the offset that the server has. {_TICKET}"
_DELETE = f"Cancel an upload that is not complete. {_TICKET}"
_CREATED = "It has begun; the header `Location` has its address, `Upload-Offset` how many bytes came."


def _parameter(place: str, name: str, description: str, example: str = "") -> dict[str, Any]:
    given: dict[str, Any] = {"in": place, "name": name, "required": True, "description": description}
    return given | {"schema": {"type": "string"}} | ({"example": example} if example else {})


_VERSION = _parameter("header", "Tus-Resumable", "The version of the protocol.", tus_headers.VERSION)
_LENGTH = _parameter("header", "Upload-Length", "The size of the file in bytes.", "1048576")
_AT = _parameter("header", "Upload-Offset", "Where the body begins; what `HEAD` says.", "0")
_METADATA = _parameter(
    "header",
    "Upload-Metadata",
    "Each a name and its value in Base64, with commas between them: `route`, `filename`, and for the files of a folder"
    " `relativePath` and `batch`.",
    "route c3R1ZHk=,filename c2Nhbi5uaWk=",
)


def _operation(
    name: str, description: str, parameters: list[dict[str, Any]], status: str, done: str
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": description.partition(".")[0],
        "description": description,
        "tags": ["uploads"],
        "parameters": [*parameters, _VERSION],
        "responses": {status: {"description": done}},
    }
    if name in ("begin_upload", "continue_upload"):
        body = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": name != "begin_upload", "content": {tus_headers.BODY: body}}
    return operation
