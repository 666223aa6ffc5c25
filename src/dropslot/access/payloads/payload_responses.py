"""Answers with the bytes of a delivery: whole or one range, in flat memory, hashed while they are sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from dropslot.access.payloads import proving, ranges
from dropslot.access.payloads.fetched import Fetch
from dropslot.access.payloads.open_payload import Payload, blocks, opened
from dropslot.access.payloads.portable_names import safe_name
from dropslot.access.payloads.ranges import NoSuchBytes, Span
from dropslot.access.visit_trail import note
from dropslot.arrivals.models import Delivery
from dropslot.audit.kinds import Kind

# No browser runs or draws anything of these when it is told to save them, and programs choose by them.
_HARMLESS = frozenset(
    {
        "application/dicom",
        "application/gzip",
        "application/pdf",
        "application/x-nifti",
        "application/zip",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
    }
)
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"


class NotAsDelivered(Exception):
    """The bytes differ from those that were delivered: the answer breaks off before its last byte."""


def answer(request: HttpRequest, delivery: Delivery) -> HttpResponseBase:
    """The delivery as a download, which is noted in the trail; a recipient's acknowledges it once its last byte is
    handed over. HEAD has the headers alone, and counts for nothing. Raises NotHere, OSError."""
    etag, asked_for = f'"{delivery.sha256}"', request.headers.get("Range", "")
    try:
        span = ranges.asked(asked_for, request.headers.get("If-Range", ""), etag, delivery.size_bytes)
    except NoSuchBytes:
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{delivery.size_bytes}"
        return refused
    # Of a part alone nobody could see whether it is as delivered, so all of the file is proved before.
    payload = opened(delivery, "always" if span else "in doubt")
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse()
    else:
        part = f"{span.first}-{span.after - 1}/{delivery.size_bytes}" if span else ""
        note_opened(request, Kind.DOWNLOADED, delivery, part)
        fetch = Fetch.of(request)
        response = StreamingHttpResponse(_part(payload, span, fetch) if span else _whole(payload, fetch))
    return _described(response, delivery, span)


def note_opened(request: HttpRequest, kind: Kind, delivery: Delivery, part: str = "", files: int = 1) -> None:
    """An event of the trail: this delivery was looked at or downloaded, or a `part` of it, or several `files` of its
    arrival in one zip. Raises OSError."""
    more: dict[str, str | int] = {"files": files} if files > 1 else {}
    if part:
        more["part"] = part
    note(
        request,
        kind,
        delivery.arrival_id,
        destination=delivery.place.url,
        stored_as=delivery.stored_as,
        version=delivery.version,
        sha256=delivery.sha256,
        **more,
    )


def _described(response: HttpResponseBase, delivery: Delivery, span: Span | None) -> HttpResponseBase:
    first, after = span or (0, delivery.size_bytes)
    response["Content-Type"] = delivery.mime if delivery.mime in _HARMLESS else "application/octet-stream"
    response["Content-Length"] = str(after - first)
    response["Content-Disposition"] = as_attachment(delivery.stored_as.rpartition("/")[2])
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = f'"{delivery.sha256}"'
    response["Content-Security-Policy"] = SANDBOX
    response["X-Content-Type-Options"] = "nosniff"
    if span:
        response.status_code = 206
        response["Content-Range"] = f"bytes {first}-{after - 1}/{delivery.size_bytes}"
    return response


def as_attachment(name: str) -> str:
    """The header by which a browser saves an answer under this name."""
    return content_disposition_header(True, safe_name(name)) or "attachment"


def _whole(payload: Payload, fetch: Fetch) -> Iterator[bytes]:
    yield from hashed(payload)
    fetch.sent([payload.delivery.pk], payload.size_bytes)


def _part(payload: Payload, span: Span, fetch: Fetch) -> Iterator[bytes]:
    before = payload.status
    for block in blocks(payload, *span):
        if not proving.is_unchanged(payload.fd, before):
            before = os.fstat(payload.fd)
            if proving.digest(payload.fd) != payload.delivery.sha256:
                raise _not_as_delivered(payload)
        yield block
    fetch.sent([payload.delivery.pk], span.after - span.first, span)


def hashed(payload: Payload) -> Iterator[bytes]:
    """All bytes; the last block only if the SHA-256 is that of the record. Raises NotAsDelivered."""
    hasher, sent = sha256(), 0
    for block in blocks(payload, 0, payload.size_bytes):
        hasher.update(block)
        sent += len(block)
        if sent == payload.size_bytes:
            proving.remember(payload.fd, payload.status, hasher.hexdigest())
            if hasher.hexdigest() != payload.delivery.sha256:
                raise _not_as_delivered(payload)
        yield block


def _not_as_delivered(payload: Payload) -> NotAsDelivered:
    proving.note_altered(payload.delivery, payload.place)
    return NotAsDelivered(f"delivery {payload.delivery.pk} is not as it was delivered")
