"""Addresses of pages that an installation may not have."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse


def link(name: str, *args: Any) -> str:
    """The address of a page; empty if there is no such page here."""
    try:
        return reverse(f"dropslot:{name}", args=args)
    except NoReverseMatch:
        return ""
