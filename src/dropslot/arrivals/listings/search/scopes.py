"""What a queryset of a role has in common, told to the index. A queryset without it is searched the same, slower."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db.models import QuerySet

from dropslot.arrivals.listings.search.grams import number
from dropslot.arrivals.listings.search.index_tables import Clause

_Rows = TypeVar("_Rows", bound=QuerySet[Any])
_NAME = "dropslot_scope"


def within(rows: _Rows, scope: Iterable[Iterable[tuple[str, str]]]) -> _Rows:
    """The same rows, of which each has all pairs of one alternative; without alternatives: nothing is known. Pairs:
    `route`, `sender`, `field:NAME`, and for deliveries `in`, a folder that the stored file is in. A further filter of
    the queryset loses this."""
    setattr(rows, _NAME, tuple(frozenset(one) for one in scope))
    return rows


def clause_of(rows: QuerySet[Any], kinds: frozenset[str] | None = None) -> list[Clause]:
    """The scope as a clause, or none. `kinds`: the index has only these; other pairs say nothing."""
    scope: tuple[frozenset[tuple[str, str]], ...] = getattr(rows, _NAME, ())
    if kinds is not None:
        scope = tuple(frozenset(pair for pair in one if pair[0] in kinds) for one in scope)
    if not scope or not all(scope):
        return []
    return [[[number(kind, value) for kind, value in sorted(one)] for one in scope]]
