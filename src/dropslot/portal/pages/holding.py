"""Legal holds: nothing of an arrival under one is removed."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.keeping import holds
from dropslot.portal.requests import access_in


@login_required
@require_POST
def hold(request: HttpRequest, pk: str) -> HttpResponse:
    """Put one arrival under a legal hold. The reason is recorded."""
    return _change(request, pk, holds.hold, "is under a legal hold: nothing of it is removed.")


@login_required
@require_POST
def release(request: HttpRequest, pk: str) -> HttpResponse:
    """End the legal hold of one arrival. The reason is recorded."""
    return _change(request, pk, holds.release, "is under no legal hold any more.")


def _change(request: HttpRequest, pk: str, do: Callable[..., None], said: str) -> HttpResponse:
    access = access_in(request)
    row = get_object_or_404(access.operable(), pk=pk)
    reason = escape(request.POST.get("reason", "").strip())
    if not reason or len(reason) > holds.LONGEST_REASON:
        messages.error(
            request, f"Say why, in at most {holds.LONGEST_REASON} characters: the reason is recorded."
        )
        return redirect("dropslot:arrival", row.pk)
    try:
        do(row, reason=reason, by=access.name)
    except DropslotError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"{row.name} {said}")
    return redirect("dropslot:arrival", row.pk)
