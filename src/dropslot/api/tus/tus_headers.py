"""The headers of the tus protocol."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from django.http import HttpRequest

from dropslot.api.tus.problems import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
CHECKSUMS = ("sha1", "sha256")
BODY = "application/offset+octet-stream"
_NUMBER = re.compile(r"\d{1,18}")
_LONGEST_METADATA = 16_384  # characters


class Checksum(NamedTuple):
    """What a body must have: the name of the algorithm, and its value."""

    algorithm: str
    value: bytes


def require_version(request: HttpRequest) -> None:
    """Raise Problem for a client that speaks no version or another one."""
    said = request.headers.get("Tus-Resumable")
    if said != VERSION:
        raise Problem(
            412,
            f"The version of the tus protocol is {VERSION}, not {said or 'none'}",
            f"Send `Tus-Resumable: {VERSION}`",
            headers={"Tus-Version": VERSION},
        )


def number(request: HttpRequest, name: str) -> int | None:
    """A header that is a size or an offset in bytes; None without it. Raises Problem."""
    text = request.headers.get(name)
    if text is None or text == "":
        return None
    if not _NUMBER.fullmatch(text):
        raise Problem(400, f"{name} is not a number", "Send it as decimal digits")
    return int(text)


def length(request: HttpRequest) -> int:
    """Upload-Length. Raises Problem."""
    if request.headers.get("Upload-Concat"):
        raise Problem(400, "Uploads cannot be put together from parts", "Send each file as one upload")
    found = number(request, "Upload-Length")
    if found is None:
        raise Problem(400, "Upload-Length is missing", "Say how many bytes the file has")
    return found


def has_body(request: HttpRequest, *, is_empty: bool) -> bool:
    """Whether bytes of the file come with the request. Raises Problem for a body of another type."""
    if request.content_type == BODY:
        return True
    if request.method == "POST" and is_empty:
        return False  # whatever its type: some clients always say one
    raise Problem(415, f"The body is not of the type {BODY}", f"Send `Content-Type: {BODY}`")


def metadata(request: HttpRequest) -> dict[str, str]:
    """Upload-Metadata: names with their values, which are Base64 of UTF-8. Raises Problem."""
    text = request.headers.get("Upload-Metadata", "")
    if len(text) > _LONGEST_METADATA:
        raise Problem(400, "Upload-Metadata is too long", f"Send at most {_LONGEST_METADATA:,} characters")
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            decoded = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise Problem(
                400, f"Upload-Metadata: the value of {key[:40]!r} is not UTF-8 in Base64", "Correct it"
            ) from None
        if key in found:
            raise Problem(400, f"Upload-Metadata: {key[:40]!r} is there twice", "Send each key once")
        found[key] = decoded
    return found


def checksum(request: HttpRequest) -> Checksum | None:
    """Upload-Checksum; None without it. Raises Problem."""
    text = request.headers.get("Upload-Checksum")
    if not text:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise Problem(400, "This checksum is not known here", f"Use one of {', '.join(CHECKSUMS)}")
    try:
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except binascii.Error:
        raise Problem(400, "The checksum is not Base64", "Send `ALGORITHM BASE64`") from None
