"""Asks before something is taken from somebody: a page of its own, which works by keyboard and without scripts."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


class Asked(NamedTuple):
    """A question as the title, what follows from a yes, the words on its button, and the address of a no."""

    title: str
    outcome: str
    act: str
    back: str


def ask(request: HttpRequest, asked: Asked) -> HttpResponse:
    """The page that asks; its form posts to the same address."""
    return render(request, "dropslot/ask.html", {"asked": asked})
