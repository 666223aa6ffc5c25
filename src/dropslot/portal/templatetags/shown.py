"""How values are shown on pages: `{{ arrival.size_bytes|size }}`, `{{ arrival.received_at|moment }}`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dropslot.access.models import Grant
from dropslot.core.showing import amounts
from dropslot.portal.words import grant_words, states

register = template.Library()


@register.filter
def size(number: float | None) -> str:
    """Bytes in words; nothing for None."""
    return "" if number is None else amounts.size(number)


@register.filter
def lasting(seconds: float | None) -> str:
    """Seconds in words; nothing for None."""
    return "" if seconds is None else amounts.lasting(seconds)


@register.filter
def grouped(number: int | None) -> str:
    """`12,345`; nothing for None."""
    return "" if number is None else f"{number:,}"


@register.filter
def moment(at: datetime | str | None) -> SafeString | str:
    """A time for the reader: portal.js shows it in the reader's zone, without it it is UTC."""
    if not at:
        return ""
    try:
        known = datetime.fromisoformat(at) if isinstance(at, str) else at
    except ValueError:
        return str(at)
    there = known.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{} UTC</time>', f"{there:%Y-%m-%dT%H:%M:%SZ}", f"{there:%Y-%m-%d %H:%M}"
    )


@register.filter
def role_in_words(grant: Grant) -> str:
    """One role of an account."""
    return grant_words.in_words(grant)


@register.inclusion_tag("dropslot/parts/state.html")
def state_of(arrival: Any) -> dict[str, Any]:
    """The label of an arrival's state: a row, or a dictionary of the listings."""
    if isinstance(arrival, dict):
        return {"told": states.told(states.HELD if arrival.get("held_at") else arrival["state"])}
    return {"told": states.told(states.state_of(arrival), arrival.evidence, arrival.intent)}
