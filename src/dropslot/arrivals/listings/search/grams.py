"""Texts as sets of numbers: pieces of one to three letters, and whole values such as a route or a sender.

If one text contains another, its set contains the other's; so sets find all texts that may match, and some more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import add
from zlib import crc32

_LONGEST = 3
_PIECES_OF_SEARCH = 24  # more would narrow no further
_LENGTHS_OF_HASH = (1, 2, 3, 4, 6)
_LENGTHS_OF_ID = (1, 2, 3, 4, 5, 6, 7, 8, 10)  # ten letters of a ULID are its time in milliseconds


def folded(text: str) -> str:
    """The text without case and accents. Each letter is folded by itself, so parts of a text stay parts of it; two
    letters that a database may take for the same are the same."""
    if text.isascii():
        return text.lower()
    whole = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).upper().casefold())
    return "".join(letter for letter in whole if not unicodedata.combining(letter))


@lru_cache(maxsize=1 << 18)
def number(kind: str, value: str) -> int:
    """A whole value as a signed number of 32 bits. Different values may have the same number."""
    return crc32(f"{kind}={value}".encode("utf-8", "surrogatepass")) - 2**31


def pieces(texts: Iterable[str]) -> set[int]:
    """All pieces of some stored texts."""
    found: set[str] = set()
    for text in texts:
        whole = folded(text)
        found.update(whole)
        found.update(map(add, whole, whole[1:]))
        found.update(map(add, map(add, whole, whole[1:]), whole[2:]))
    return set(map(_PIECES.__getitem__, found))


class _Pieces(dict[str, int]):
    """The numbers of pieces; those of other scripts are forgotten when there are very many."""

    def __missing__(self, piece: str) -> int:
        if len(self) > _REMEMBERED:
            self.clear()
        self[piece] = found = number("", piece)
        return found


_REMEMBERED = 1 << 18
_PIECES = _Pieces()


def pieces_of_search(text: str) -> tuple[int, ...]:
    """What a stored text has in any case if it contains this one; none: nothing can be said."""
    whole = folded(text)
    length = min(len(whole), _LONGEST)
    found = {number("", whole[start : start + length]) for start in range(len(whole) - length + 1)}
    return tuple(sorted(found)[:_PIECES_OF_SEARCH]) if whole else ()


def beginnings_of_hash(sha256: str) -> Iterator[int]:
    """Of a stored SHA-256."""
    return (number("sha256", sha256[:length].lower()) for length in _LENGTHS_OF_HASH)


def beginnings_of_id(ulid: str) -> Iterator[int]:
    """Of a stored id."""
    return (number("id", ulid[:length].upper()) for length in _LENGTHS_OF_ID)


def beginning_of_hash(text: str) -> int:
    """What a SHA-256 has that begins with this text."""
    return number("sha256", text[: _fitting(text, _LENGTHS_OF_HASH)].lower())


def beginning_of_id(text: str) -> int:
    """What an id has that begins with this text."""
    return number("id", text[: _fitting(text, _LENGTHS_OF_ID)].upper())


def _fitting(text: str, lengths: Iterable[int]) -> int:
    return max(length for length in lengths if length <= max(len(text), 1))


def days(moment: datetime) -> Iterator[int]:
    """Day, month, year, decade and century of a stored time, in UTC."""
    text = moment.astimezone(UTC).date().isoformat()
    return (number("at", text[:length]) for length in (10, 7, 4, 3, 2))


def days_between(since: datetime | None, until: datetime | None) -> tuple[int, ...]:
    """Days, months, years and so on that cover a span of time; its ends are within. Open ends reach from 1000 to
    2999."""
    first = since.astimezone(UTC).date() if since else date(1000, 1, 1)
    last = until.astimezone(UTC).date() if until else date(2999, 12, 31)
    return tuple(number("at", text) for text in _covering(first, last)) or (number("at", "never"),)


def _covering(first: date, last: date) -> Iterator[str]:
    while first <= last:
        length, end = next((length, end) for length, end in _spans_from(first) if end <= last)
        yield first.isoformat()[:length]
        first = end + timedelta(days=1)


def _spans_from(day: date) -> Iterator[tuple[int, date]]:
    """The spans that begin at this day, the longest first: letters of its text that name it, and its last day."""
    if (day.month, day.day) == (1, 1):
        for length, years in ((2, 100), (3, 10), (4, 1)):
            if day.year % years == 0:
                yield length, date(day.year + years - 1, 12, 31)
    if day.day == 1:
        yield 7, _end_of_month(day)
    yield 10, day


def _end_of_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def folders(path: str) -> Iterator[int]:
    """The folders that a stored path is in."""
    at = path.rfind("/")
    while at > 0:
        yield number("in", path[:at])
        at = path.rfind("/", 0, at)
