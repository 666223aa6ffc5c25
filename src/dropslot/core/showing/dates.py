"""Dates as parts of paths: the same in every language that the system is set to."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# The directives of strftime that describe a day and give no slash. In strftime, %b and %A would follow the locale.
_LETTERS: dict[str, Callable[[date], str]] = {
    "Y": lambda day: f"{day.year:04}",
    "y": lambda day: f"{day.year % 100:02}",
    "m": lambda day: f"{day.month:02}",
    "d": lambda day: f"{day.day:02}",
    "j": lambda day: f"{day.timetuple().tm_yday:03}",
    "B": lambda day: _MONTHS[day.month - 1],
    "b": lambda day: _MONTHS[day.month - 1][:3],
    "A": lambda day: WEEKDAYS[day.weekday()],
    "a": lambda day: WEEKDAYS[day.weekday()][:3],
    "u": lambda day: f"{day.isoweekday()}",
    "G": lambda day: f"{day.isocalendar().year:04}",
    "V": lambda day: f"{day.isocalendar().week:02}",
    "%": lambda _: "%",
}
_DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)


def fault_of_format(text: str) -> str | None:
    """What is wrong with `text` as the format of a day; None if nothing is."""
    letters = _DIRECTIVE.findall(text)
    for letter in letters:
        if letter not in _LETTERS:
            return f"%{letter} is none of {', '.join(f'%{known}' for known in _LETTERS)}"
    if "{" in text or "}" in text:
        return "it has a brace"
    return None if set(letters) - {"%"} else "it has no part of a date, such as %Y"


def formatted(day: date, text: str) -> str:
    """The day in a format without fault."""
    return _DIRECTIVE.sub(lambda found: _LETTERS[found[1]](day), text)
