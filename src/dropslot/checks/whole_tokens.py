"""Recognizes patterns that match only part of a number or word: the result of specimen 066-12345670-12 must not pass
as that of -1.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from dropslot.core import patterns
from dropslot.core.patterns import Found

_LONGEST_SAMPLE = 128
_MOST_STEPS = 500
_SECONDS = 0.1  # for one step
_MORE = 20  # digits or letters; no pattern for a number needs so many


class Cut(NamedTuple):
    """What a pattern takes from a name, the whole number or word around it, and whether that begins earlier
    (otherwise it ends later)."""

    name: str
    taken: str
    whole: str
    begins_sooner: bool


def cut(pattern: re.Pattern[str], name: str) -> Cut | None:
    """The first number or word in a name of which the pattern takes only a part; None if there is none.

    A letter after a digit belongs to it (the aliquot 1A is not 1), one before it does not (S12 is number 12). It is
    not a part if the pattern also matches the rest, as in `(?P<specimen>\\d{6})\\d{8}`.
    """
    found = patterns.search(pattern, name)
    for group, (start, end) in _wanted(pattern, found):
        first, last = _around(name, start, end)
        if (first, last) != (start, end):
            without = patterns.search(pattern, name[:first] + name[start:end] + name[last:])
            if without and found and without.groups.get(group) == found.groups.get(group):
                return Cut(name, name[start:end], name[first:last], begins_sooner=first < start)
    return None


def open_end(pattern: re.Pattern[str]) -> Cut | None:
    """An example in which the pattern takes only a part of a longer number or word, because it has no end or no
    beginning. None if it has both, or if no name can be made up for it."""
    sample = _sample(pattern)
    for _, (start, end) in _wanted(pattern, patterns.search(pattern, sample)):
        for place, letter in ((end, sample[end - 1]), (start, sample[start])):
            for count in (1, _MORE) if letter.isalnum() else ():
                if found := cut(pattern, sample[:place] + letter * count + sample[place:]):
                    return found
    return None


def _wanted(pattern: re.Pattern[str], found: Found | None) -> Iterator[tuple[str, tuple[int, int]]]:
    """The places of the texts that must be in the PDF: the named groups, otherwise the whole match; without empty
    ones."""
    for name in (pattern.groupindex or [""]) if found else ():
        if found and name in found.places and found.places[name][0] < found.places[name][1]:
            yield name, found.places[name]


def _around(name: str, start: int, end: int) -> tuple[int, int]:
    """The place, extended to whole numbers and words."""
    first, last = start, end
    while first > 0 and _same_kind(name[first - 1], name[first]):
        first -= 1
    while last < len(name) and _goes_on(name[last - 1], name[last]):
        last += 1
    return first, last


def _same_kind(one: str, other: str) -> bool:
    return (one.isdigit() and other.isdigit()) or (_is_letter(one) and _is_letter(other))


def _goes_on(last: str, following: str) -> bool:
    return _same_kind(last, following) or (last.isdigit() and _is_letter(following))


def _is_letter(letter: str) -> bool:
    return letter.isalpha() or unicodedata.category(letter).startswith("M")


def _sample(pattern: re.Pattern[str]) -> str:
    """A short text that the pattern matches, made letter by letter; empty when none is found soon."""
    import regex

    made = regex.compile(pattern.pattern, int(pattern.flags) & (re.IGNORECASE | re.VERBOSE | re.DOTALL))
    letters = dict.fromkeys([*"0Aa1-_. ", *filter(str.isprintable, pattern.pattern)])
    tails, todo = _tails(pattern.pattern), [""]
    try:
        for _ in range(_MOST_STEPS):
            text = todo.pop() if todo else ""
            for tail in tails:
                if made.fullmatch(text + tail, timeout=_SECONDS):
                    return text + tail
            more = [text + letter for letter in letters] if len(text) < _LONGEST_SAMPLE else []
            todo += [each for each in reversed(more) if made.fullmatch(each, partial=True, timeout=_SECONDS)]
    except TimeoutError:
        pass
    return ""


def _tails(expression: str) -> list[str]:
    """Possible ends of a matching text, such as `.pdf`: after `.*` only these lead to an end."""
    plain = re.sub(r"\\([^\w\s])", r"\1", expression).rstrip("$)?")
    last = plain[len(plain.rstrip(string.ascii_letters + string.digits + "_.- ")) :]
    ends = [last[start:] for start in range(len(last) + 1)]
    return ["", *ends, *(f".{end}" for end in ends)]
