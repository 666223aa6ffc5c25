"""Sizes, rates and times in words."""

from __future__ import annotations

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(number: float) -> str:
    """`512 B`, `1.5 MB`, `20 GB`: decimal units, three digits at most."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in _UNITS:  # noqa: B007 - the last one that was needed
        number /= 1000
        if number < 999.5:
            break
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"


def lasting(seconds: float) -> str:
    """`under a minute`, `12 minutes`, `3 hours`, `2 days`, for something that nobody can know more exactly."""
    for unit, long in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= long:
            number = round(seconds / long)
            return f"{number} {unit}{'s' if number != 1 else ''}"
    return "under a minute"
