"""The description of the API: as OpenAPI for programs, and as a page that needs nothing from another host."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dropslot.api.app import RULES
from dropslot.api.description import described
from dropslot.api.openapi_sections import Section, sections, words


@require_safe
def root(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """The address of the API itself leads to its description."""
    return HttpResponseRedirect(reverse("dropslot_api:docs"))


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """`openapi.json`."""
    return JsonResponse(_described(_prefix()))


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The same for people."""
    rules = [words(rule) for rule in RULES]
    more = {"info": _described(_prefix())["info"], "rules": rules, "sections": _sections(_prefix())}
    return render(request, "dropslot/api_docs.html", more)


def _prefix() -> str:
    return reverse("dropslot_api:root")


# Made once: it takes a fifth of a second, and anybody may ask.
@lru_cache(maxsize=4)
def _described(prefix: str) -> dict[str, Any]:
    return described(prefix)


@lru_cache(maxsize=4)
def _sections(prefix: str) -> list[Section]:
    return sections(_described(prefix))
