"""What every page shows: who is signed in, and the pages that this account may open."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from dropslot.access import second_factor
from dropslot.access.roles import AUDITS, OPENS, OPERATES, SEES_ROUTE, UPLOADS, Role
from dropslot.access.seen import Access

_VERSION = version("dropslot")


class Link(NamedTuple):
    """One entry of the navigation."""

    label: str
    url: str
    is_here: bool


_OF_ARRIVALS = frozenset({*SEES_ROUTE, Role.SENDER, Role.STUDY_RUNNER})
# Label, name of the page, and the roles that have it in their navigation; None: everybody who is signed in.
PAGES: tuple[tuple[str, str, frozenset[Role] | None], ...] = (
    ("Home", "home", None),
    ("Files", "archive", OPENS),
    ("Do you know this file?", "known", None),
    ("Verify", "verify", SEES_ROUTE),
    ("Tokens", "tokens", None),
    ("Users", "users", frozenset({Role.ADMINISTRATOR})),
    ("Arrivals", "arrivals", _OF_ARRIVALS),
    ("History", "history", None),
    ("Pending", "pending", _OF_ARRIVALS),
    ("Sent, not fetched", "unfetched", None),
    ("Acknowledgments", "acknowledgments", SEES_ROUTE),
    ("Log readers", "log_readers", OPERATES | AUDITS),
    ("Trail", "trail", OPERATES | AUDITS),
    ("Upload", "upload", UPLOADS),
    ("Check", "check", AUDITS | OPERATES),
    ("Folders", "folders", AUDITS | OPERATES),
    ("Routes", "routes", SEES_ROUTE),
)


def everywhere(request: HttpRequest) -> dict[str, Any]:
    """For the base template. Before the sign-in there is no navigation."""
    access: Access | None = getattr(request, "access", None)
    if access is None or not access.name:
        return {"version": _VERSION, "navigation": []}
    return {
        "version": _VERSION,
        "navigation": _links(request, access),
        "access": access,
        **_second_factor(request),
    }


def _second_factor(request: HttpRequest) -> dict[str, bool]:
    """For the page that sets one up: whether this account is held there."""
    match = request.resolver_match
    if match is None or not match.view_name.startswith("mfa_"):
        return {}
    return {"needs_second_factor": second_factor.is_missing(request)}


def _links(request: HttpRequest, access: Access) -> list[Link]:
    found = []
    for label, name, roles in PAGES:
        if name == "users" and not access.manages_accounts:
            continue
        if name == "verify" and not access.sees_all_routes():
            continue
        if roles is None or access.has(roles):
            url = reverse(f"dropslot:{name}")
            found.append(Link(label, url, request.path == url))
    return found
