"""What views read from a request."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest

from dropslot.access.seen import Access


def access_in(request: HttpRequest) -> Access:
    """What the account of this request may see and do."""
    return cast(Access, request.access)  # type: ignore[attr-defined]
