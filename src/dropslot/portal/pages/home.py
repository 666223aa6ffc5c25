"""The first page: a section for each role of the account, first those where somebody should act."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from dropslot.portal import live
from dropslot.portal.homes import administrator, auditor, operator, recipient, sender, study_runner
from dropslot.portal.homes.section import Facts, Section
from dropslot.portal.requests import access_in

SECTIONS = {
    module.SECTION.name: module.SECTION
    for module in (recipient, sender, operator, study_runner, auditor, administrator)
}


class Part(NamedTuple):
    """A section of one account's page: its template, and the part of it that changes."""

    name: str
    facts: Facts
    template: str
    live: SafeString


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What the account's roles need first."""
    access = access_in(request)
    parts = [_part(request, section) for section in SECTIONS.values() if access.has(section.roles)]
    parts.sort(key=lambda part: not part.facts["urgent"])
    return render(request, "dropslot/home.html", {"parts": parts})


@login_required
@require_GET
def home_part(request: HttpRequest, name: str) -> HttpResponse:
    """One section as it is now, for the page that shows it already."""
    access = access_in(request)
    section = SECTIONS.get(name)
    if section is None or not access.has(section.roles):
        raise Http404
    return live.answer(request, name, _live_template(name), {"facts": section.known(access)}, _url(name))


def _part(request: HttpRequest, section: Section) -> Part:
    name, facts = section.name, section.found(access_in(request))
    shown = live.part(request, name, _live_template(name), {"facts": facts}, _url(name))
    return Part(name, facts, f"dropslot/home/{name}.html", shown)


def _live_template(name: str) -> str:
    return f"dropslot/home/{name}_live.html"


def _url(name: str) -> str:
    return reverse("dropslot:home_part", args=[name])
