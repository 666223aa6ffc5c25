"""The bytes of an image, from whichever of its deliveries this machine can give out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dropslot.access.payloads import proving
from dropslot.access.payloads.open_payload import NotHere, Payload, opened
from dropslot.access.seen import Access
from dropslot.dicom.models import Instance

_MOST = 5  # destinations that are asked


@contextmanager
def opened_image(access: Access, row: Instance) -> Iterator[Payload]:
    """Its bytes, proved to be those that were delivered. Raises NotHere, also if somebody changes them meanwhile."""
    payload = _first(access, row)
    try:
        yield payload
        if not proving.is_unchanged(payload.fd, payload.status):
            raise NotHere("The file was changed while it was read", next_step="Look at it again")
    finally:
        payload.close()


def _first(access: Access, row: Instance) -> Payload:
    fault: NotHere | None = None
    for delivery in access.images_of(row).select_related("arrival", "place").order_by("pk")[:_MOST]:
        try:
            return opened(delivery, "always")
        except NotHere as error:
            fault = error
    raise fault or NotHere("You may not open this image", next_step="Ask an operator of its route")
