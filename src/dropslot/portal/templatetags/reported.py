"""How the values of a report are shown on its page."""

from __future__ import annotations

from django import template

from dropslot.reports import captions

register = template.Library()
register.filter("took", captions.took)
register.filter("fetch_took", captions.fetch_took)


@register.filter
def unlocalized(number: float) -> str:
    """A number of a drawing, with a point in every language."""
    return f"{number:g}"
