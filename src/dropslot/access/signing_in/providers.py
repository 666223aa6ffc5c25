"""Providers of OpenID Connect, as django-allauth takes them. Nothing here needs Django."""

from __future__ import annotations

import re
from typing import Any

from dropslot.access.section import Portal
from dropslot.config.secrets import secret


def openid_apps(portal: Portal) -> list[dict[str, Any]]:
    """One for each of `portal.openid`; a secret that is missing is empty, and `portal` refuses to start
    (`missing_secrets`). Raises ConfigError if a secret is given twice or its file cannot be read."""
    return [
        {
            "provider_id": provider_id(one.name),
            "name": one.name,
            "client_id": one.client_id,
            "secret": secret(one.secret) or "",
            "settings": {"server_url": one.server},
        }
        for one in portal.openid
    ]


def missing_secrets(portal: Portal) -> list[str]:
    """The environment variables that a provider's secret should be in, and is not."""
    return [one.secret for one in portal.openid if not secret(one.secret)]


def provider_id(name: str) -> str:
    """What stands for a provider in addresses: `City Hospital` is `city-hospital`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "provider"
