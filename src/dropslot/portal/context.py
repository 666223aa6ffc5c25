"""What every page shows: who is signed in, and the pages that this account may open."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from dropslot.access.roles import AUDITS, OPENS, OPERATES, SEES_ROUTE, UPLOADS, Role
from dropslot.access.section import portal_of
from dropslot.access.seen import Access
from dropslot.access.signing_in import second_factor
from dropslot.config import current
from dropslot.dicom.importing.config_keys import is_imported

_VERSION = version("dropslot")


class Link(NamedTuple):
    """One entry of the navigation."""

    label: str
    url: str
    is_here: bool


_OF_ARRIVALS = frozenset({*SEES_ROUTE, Role.SENDER, Role.STUDY_RUNNER})
# Label, name of the page, and the roles that have it in their navigation; None: everybody who is signed in. What is
# used most comes first: on a wide screen, what follows the first ones is under "More".
PAGES: tuple[tuple[str, str, frozenset[Role] | None], ...] = (
    ("Home", "home", None),
    ("Upload", "upload", UPLOADS),
    ("Arrivals", "arrivals", _OF_ARRIVALS),
    ("History", "history", None),
    ("Files", "archive", OPENS),
    ("Pending", "pending", _OF_ARRIVALS),
    ("Patients", "patients", None),
    ("Studies", "studies", None),
    ("Series", "series", None),
    ("Sent, not fetched", "unfetched", None),
    ("Do you know this file?", "known", None),
    ("Reports", "reports", None),
    ("Check", "check", AUDITS | OPERATES),
    ("Trail", "trail", OPERATES | AUDITS),
    ("Verify", "verify", SEES_ROUTE),
    ("Acknowledgments", "acknowledgments", SEES_ROUTE),
    ("Log readers", "log_readers", OPERATES | AUDITS),
    ("Folders", "folders", AUDITS | OPERATES),
    ("Routes", "routes", SEES_ROUTE),
    ("Space", "space", frozenset({*SEES_ROUTE, Role.STUDY_RUNNER})),
    ("Users", "users", frozenset({Role.ADMINISTRATOR})),
    ("Notifications", "notifications", None),
    ("Tokens", "tokens", None),
)
_OF_IMAGES = frozenset({"patients", "studies", "series"})  # only where images are imported
_FIRST = 6  # fit beside each other at 1280 pixels


class Menu(NamedTuple):
    """The links of the bar, and those under "More"."""

    first: list[Link]
    more: list[Link]

    @property
    def more_is_here(self) -> bool:
        """Whether the page that is shown is under "More"."""
        return any(link.is_here for link in self.more)


def everywhere(request: HttpRequest) -> dict[str, Any]:
    """For the base template. Before the sign-in there is no navigation."""
    access: Access | None = getattr(request, "access", None)
    if access is None or not access.name:
        return {"version": _VERSION, "navigation": [], "has_directory": _has_directory()}
    return {
        "version": _VERSION,
        "navigation": (links := _links(request, access)),
        "menu": _menu(links),
        "access": access,
        **_second_factor(request),
    }


def _has_directory() -> bool:
    portal = portal_of(current())
    return portal is not None and portal.ldap is not None


def _second_factor(request: HttpRequest) -> dict[str, bool]:
    """For the page that sets one up: whether this account is held there."""
    match = request.resolver_match
    if match is None or not match.view_name.startswith("mfa_"):
        return {}
    return {"needs_second_factor": second_factor.is_missing(request)}


def _menu(links: list[Link]) -> Menu:
    first = len(links) if len(links) <= _FIRST + 1 else _FIRST
    return Menu(links[:first], links[first:])


def _links(request: HttpRequest, access: Access) -> list[Link]:
    found = []
    for label, name, roles in PAGES:
        if name == "users" and not access.manages_accounts:
            continue
        if name == "verify" and not access.sees_all_routes():
            continue
        if name in _OF_IMAGES and not (
            access.grants and any(map(is_imported, access.config.routes.values()))
        ):
            continue
        if roles is None or access.has(roles):
            url = reverse(f"dropslot:{name}")
            found.append(Link(label, url, request.path == url))
    return found
