"""One image: what is known of it, a preview and all elements of its header. Each look is an event."""

from __future__ import annotations

from base64 import b64encode
from contextlib import ExitStack
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from dropslot.access.payloads.image_bytes import opened_image
from dropslot.access.payloads.open_payload import NotHere
from dropslot.access.payloads.payload_responses import note_opened
from dropslot.access.roles import SEES_ROUTE
from dropslot.audit.kinds import Kind
from dropslot.dicom.models import Instance
from dropslot.dicom_files import pixels
from dropslot.dicom_files.confined_reader import CannotLook
from dropslot.dicom_files.header_table import table_of
from dropslot.portal.preview.points import png_of
from dropslot.portal.requests import access_in

# Centre and width of windows that radiologists use for CT.
_PRESETS = (("Soft tissue", 40, 400), ("Lung", -600, 1500), ("Bone", 500, 2000), ("Brain", 40, 80))
_MOST = 1e9
_ASK = "Its destination may have it; ask the people who run this portal"
_DOWNLOAD = "It can be downloaded, and opened with a program of yours"


@login_required
@require_GET
def image(request: HttpRequest, pk: int) -> HttpResponse:
    """Its page, which asks for preview and header by itself."""
    return _page(request, _of(request, pk))


@login_required
@require_GET
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """A frame (`frame`, from 1) in a window (`centre`, `width`; default: the header's), as a part of the page; as a
    page where nothing runs in the browser."""
    row = _openable(request, pk)
    shown = _preview(request, row)
    if getattr(request, "htmx", False):
        return render(request, "dropslot/imaging/preview.html", {"image": row, "preview": shown})
    return _page(request, row, preview=shown)


@login_required
@require_GET
def image_header(request: HttpRequest, pk: int) -> HttpResponse:
    """All elements of its header, as a part of the page, or as a page."""
    row = _openable(request, pk)
    shown = _header(request, row)
    if getattr(request, "htmx", False):
        return render(request, "dropslot/imaging/header.html", {"image": row, "header": shown})
    return _page(request, row, header=shown)


def _of(request: HttpRequest, pk: int) -> Instance:
    rows = access_in(request).instance(pk).select_related("series__study__patient", "arrival")
    row: Instance = get_object_or_404(rows)
    return row


def _openable(request: HttpRequest, pk: int) -> Instance:
    row = _of(request, pk)
    if not access_in(request).images_of(row).exists():
        raise Http404
    return row


def _page(request: HttpRequest, row: Instance, **more: Any) -> HttpResponse:
    access = access_in(request)
    beside = access.instances(Q(series=row.series_id))
    shown = {
        "image": row,
        "before": beside.filter(pk__lt=row.pk).order_by("-pk").values_list("pk", flat=True).first(),
        "after": beside.filter(pk__gt=row.pk).order_by("pk").values_list("pk", flat=True).first(),
        "deliveries": access.deliveries()
        .filter(arrival=row.arrival_id, item=row.item)
        .select_related("place")[:10],
        "may_open": access.images_of(row).exists(),
        "sees_places": access.has(SEES_ROUTE, row.series.route),
        "sees_arrival": access.arrivals().filter(pk=row.arrival_id).exists(),
        **more,
    }
    return render(request, "dropslot/imaging/image.html", shown)


def _preview(request: HttpRequest, row: Instance) -> dict[str, Any]:
    frame, window = _frame(request), _window(request)
    controls = {"frame": frame, "window": window, "presets": _PRESETS if row.series.modality == "CT" else ()}
    try:
        with opened_image(access_in(request), row) as payload, ExitStack() as stack:
            note_opened(request, Kind.VIEWED, payload.delivery, f"frame {frame}")
            drawn = pixels.draw(stack, payload.fd, frame, window)
            picture = png_of(drawn.canvas, drawn.width, drawn.height)
    except NotHere as error:
        return controls | {"fault": error.what, "next": _ASK if error.where else error.next_step}
    except CannotLook as error:
        # Another frame or window may be asked for in place of one that is not there.
        is_asked = frame > 1 or window is not None
        return controls | {"fault": error.what, "next": _DOWNLOAD, "has_controls": is_asked}
    return controls | {
        "has_controls": True,
        "picture": b64encode(picture).decode("ascii"),
        "drawn": drawn,
        "window": drawn.window,
        "before": frame - 1,
        "after": frame + 1 if frame < drawn.frames else 0,
    }


def _header(request: HttpRequest, row: Instance) -> dict[str, Any]:
    try:
        with opened_image(access_in(request), row) as payload:
            note_opened(request, Kind.VIEWED, payload.delivery, "header")
            table = table_of(payload.fd)
    except (NotHere, CannotLook) as error:
        return {"fault": error.what}
    return {"rows": [(each, "·" * each.depth) for each in table.elements], "is_cut": table.is_cut}


def _frame(request: HttpRequest) -> int:
    text = request.GET.get("frame", "1")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 8 else 1


def _window(request: HttpRequest) -> tuple[float, float] | None:
    """What is asked for; None: nothing, or no numbers."""
    try:
        centre, width = (float(request.GET.get(name, "").replace(",", ".")) for name in ("centre", "width"))
    except ValueError:
        return None
    return (centre, width) if abs(centre) < _MOST and 0 < width < _MOST else None
