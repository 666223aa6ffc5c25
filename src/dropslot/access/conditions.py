"""What a grant narrows a query to, as conditions of Django's ORM. `seen` puts them together, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from django.db.models import Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact

from dropslot.access.models import Grant
from dropslot.access.roles import SEES_ROUTE, Role
from dropslot.core.templates import Template

NOTHING = Q(pk__in=[])
Scope = list[list[tuple[str, str]]]  # alternatives of pairs (column, value), for searching


def of_route(grant: Grant, prefix: str) -> Q:
    """Rows of the route that the grant is for."""
    return Q((f"{prefix}route", grant.route)) if grant.route else Q()


def of_arrivals(grant: Grant, prefix: str) -> Q:
    """Arrivals that the grant lets its account see."""
    here = of_route(grant, prefix)
    if grant.role in SEES_ROUTE:
        return here or ~NOTHING
    if grant.role == Role.SENDER:
        return here & Q((f"{prefix}sender", grant.user.get_username()))
    if grant.role == Role.STUDY_RUNNER and grant.field:
        return here & Q((f"{prefix}fields__{grant.field}", grant.value))
    return NOTHING


def fixed_part(to: str) -> str:
    """The part of a destination's address before its first field, without a slash at its end."""
    return Template(to).fixed.rstrip("/") or "/"


def in_folders(folders: Iterable[tuple[str, str]]) -> Q:
    """Deliveries in these folders, each given as (base address, folder)."""
    parts = []
    for base, folder in folders:
        if not folder:
            continue
        whole = below(base, folder)
        parts += [
            is_below("place__url", whole),
            Q(place__url=base) & begins("stored_as", f"{folder}/"),
        ]
    return either(parts)


def is_below(column: str, whole: str) -> Q:
    """Rows whose column is this address, or one below it."""
    return Q((column, whole)) | begins(column, f"{whole}/")


def begins(column: str, text: str) -> Q:
    """Rows whose column begins with exactly this text: SQLite's LIKE takes capital and small letters for the same."""
    return Q((f"{column}__startswith", text)) & Q(Exact(Left(column, len(text)), Value(text)))


def either(parts: Sequence[Q]) -> Q:
    """Rows that fulfil any of the conditions; none without a condition."""
    return Q.create([*parts], connector=Q.OR) if parts else NOTHING


def below(base: str, folder: str) -> str:
    """The address of a folder below a base."""
    return str(PurePosixPath(base) / folder) if base.startswith("/") else f"{base}/{folder}"


def pairs_of(grant: Grant) -> Scope:
    """As `of_arrivals`, in pairs. A grant for everything has an alternative without pairs."""
    here = [("route", grant.route)] if grant.route else []
    if grant.role in SEES_ROUTE:
        return [here]
    if grant.role == Role.SENDER:
        return [[*here, ("sender", grant.user.get_username())]]
    if grant.role == Role.STUDY_RUNNER and grant.field:
        return [[*here, (f"field:{grant.field}", grant.value)]]
    return []
