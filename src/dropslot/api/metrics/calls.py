"""The calls that this process answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from dropslot.core.context import kept

disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more for each number, which nobody asks for
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.01, 0.05, 0.15, 0.5, 2.0, 10.0, 60.0)


class Calls:
    """Numbers of calls, by the name of the page or the API's operation: an address with an id would be one more each
    time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.count = Counter(
            "dropslot_portal_requests",
            "Calls that the portal has answered since it started",
            ("view", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "dropslot_portal_request_seconds",
            "Time until the portal began to answer",
            ("view",),
            buckets=_SECONDS,
            registry=self.registry,
        )


class Counted:
    """Middleware that counts each call."""

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse]) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        response = self._answer(request)
        match = request.resolver_match
        view = (match.view_name if match else "") or "other"
        method = request.method if request.method in _METHODS else "other"
        calls = kept(Calls)
        calls.count.labels(view, method, response.status_code).inc()
        calls.seconds.labels(view).observe(time.monotonic() - began)
        return response
