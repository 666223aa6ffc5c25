"""Sorting that lets the other threads work: Python's own holds them all up until it is done."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_RUN = 2000


def in_order(items: Sequence[T], key: Callable[[T], str]) -> Iterator[T]:
    """As `sorted`, in runs that take about a millisecond each."""
    runs = [sorted(items[start : start + _RUN], key=key) for start in range(0, len(items), _RUN)]
    return iter(runs[0]) if len(runs) == 1 else heapq.merge(*runs, key=key)
