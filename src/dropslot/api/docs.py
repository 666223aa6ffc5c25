"""The description of the API: as OpenAPI for programs, and as a page that needs nothing from another host."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dropslot.api.app import RULES
from dropslot.api.description import described
from dropslot.api.reading import sections, words


@require_safe
def root(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The address of the API itself leads to its description."""
    return HttpResponseRedirect(reverse("dropslot_api:docs"))


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`openapi.json`."""
    return JsonResponse(_described())


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The same for people."""
    description = _described()
    rules = [words(rule) for rule in RULES]
    more = {"info": description["info"], "rules": rules, "sections": sections(description)}
    return render(request, "dropslot/api_docs.html", more)


def _described() -> dict[str, Any]:
    return described(reverse("dropslot_api:root"))
