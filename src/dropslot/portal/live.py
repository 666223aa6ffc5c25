"""Parts of pages that change while somebody looks at them: the browser asks every few seconds, and gets a part again
only if it differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')  # another one each time
SECONDS = 5


def part(
    request: HttpRequest, name: str, template: str, facts: Mapping[str, Any], url: str, seconds: int = SECONDS
) -> SafeString:
    """The part as it is now. `url` is where the browser asks for it; empty: it does not change any more."""
    return _part(request, name, template, facts, url, seconds)[0]


def answer(
    request: HttpRequest, name: str, template: str, facts: Mapping[str, Any], url: str, seconds: int = SECONDS
) -> HttpResponse:
    """The answer to a browser that has the part with the digest `seen`: 204 if it is still the same."""
    html, digest = _part(request, name, template, facts, url, seconds)
    return HttpResponse(status=204) if request.GET.get("seen") == digest else HttpResponse(html)


def _part(
    request: HttpRequest, name: str, template: str, facts: Mapping[str, Any], url: str, seconds: int
) -> tuple[SafeString, str]:
    inner = render_to_string(template, dict(facts), request)
    digest = blake2b(_TOKEN.sub("", inner).encode("utf-8", "replace"), digest_size=8).hexdigest()
    around = {"name": name, "inner": inner, "url": url, "seen": digest, "seconds": seconds}
    return render_to_string("dropslot/parts/live.html", around, request), digest
