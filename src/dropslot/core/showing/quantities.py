"""Numbers of things in words, and things in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

CHUNK = 1000  # values in one query: an older SQLite takes no more
T = TypeVar("T")


def counted(number: int, thing: str) -> str:
    """`1 arrival`, `2,000 arrivals`, `3 entries`; `thing` is one of them."""
    if number == 1:
        return f"1 {thing}"
    things = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {things}"


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
