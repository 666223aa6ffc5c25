"""Of which routes it is known what is fetched."""

from __future__ import annotations

from dropslot.access.models import Grant
from dropslot.access.roles import Role
from dropslot.acknowledgments.matching.delivery_finder import served
from dropslot.config import Config


def followed(config: Config) -> set[str]:
    """The routes of which it is known what is fetched: by logs, or because recipients fetch in the portal."""
    granted = set(Grant.objects.filter(role=Role.RECIPIENT).values_list("route", flat=True))
    return set(config.routes) if "" in granted else granted | served(config).keys()
