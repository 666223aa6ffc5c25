"""The address `/metrics`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector, generate_latest

from dropslot.access.roles import Scope
from dropslot.access.seen import Access
from dropslot.api.authentication import access_for, deny
from dropslot.api.error_answers import answer_for
from dropslot.api.metrics.calls import Calls
from dropslot.api.problems import NotSignedIn
from dropslot.arrivals.metrics.exporter import registry_of
from dropslot.config import current
from dropslot.core.addressing.addresses import is_loopback
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA")


class _Exposed:
    """What this process exposes."""

    def __init__(self) -> None:
        self.registry = registry_of(current())
        ProcessCollector(namespace="dropslot_portal", registry=self.registry)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Numbers for Prometheus: for programs on this machine, and for those who see all routes."""
    try:
        _require_allowed(request)
    except DropslotError as error:
        return answer_for(error)
    content = generate_latest(kept(_Exposed).registry) + generate_latest(kept(Calls).registry)
    return HttpResponse(content, content_type=CONTENT_TYPE_LATEST)


def _require_allowed(request: Any) -> None:
    """Raise NotSignedIn or Denied unless this program or account may read the numbers of all routes."""
    if "Authorization" not in request.headers and is_local(request):
        return
    has_token = "Authorization" in request.headers
    access: Access = access_for(request, (Scope.READ,)) if has_token else request.access
    if not access.name:
        what = "Metrics are for programs on this machine, and for tokens of accounts that see all routes"
        raise NotSignedIn(
            what, next_step="Send the header `Authorization: Bearer TOKEN`, with the scope read"
        )
    if not access.sees_all_routes():
        deny(request, "Your account does not see all routes", "Use a token of an operator or auditor")


def is_local(request: HttpRequest) -> bool:
    """Whether it comes from a program on this machine, and not through a web server in front."""
    if any(name in request.META for name in _FORWARDED):
        return False
    return is_loopback(str(request.META.get("REMOTE_ADDR", "")))
