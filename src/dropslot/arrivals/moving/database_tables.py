"""The tables of an installation, and their rows in a form that is the same in every database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.models import JSONField, Model, Q, QuerySet

from dropslot.arrivals.listings.search import indexer
from dropslot.audit import triggers
from dropslot.audit.models import EventReader

_AS_IT_IS = frozenset(
    {
        "AutoField",
        "BigAutoField",
        "BigIntegerField",
        "BooleanField",
        "CharField",
        "IntegerField",
        "SmallIntegerField",
        "TextField",
    }
)
PAGE = 2000  # rows that are in memory at once, twice
Row = tuple[Any, ...]


class Table:
    """One table by its model. `rows` have the values that Python gets, key first."""

    def __init__(self, model: type[Model]) -> None:
        key = model._meta.pk
        assert key is not None  # Django gives every model one
        self.name = model._meta.db_table
        self.fields = [key, *(field for field in model._meta.concrete_fields if field is not key)]
        self.columns = [str(field.column) for field in self.fields]
        self.is_guarded = self.name in {name for name, _ in triggers.GUARDED}
        self._model = model
        self._prepared = [index for index, field in enumerate(self.fields) if not _is_stored_as_it_is(field)]
        self._plain = [_plain_of(field) for field in self.fields]

    def is_in(self, database: str) -> bool:
        """Whether it has any row there."""
        return self._rows(database).exists()

    def count(self, database: str) -> int:
        """How many rows are copied, or have been."""
        return self._rows(database).count()

    def pages(self, database: str) -> Iterator[dict[Any, Row]]:
        """All rows in the order of their keys, by key; in pages, so that memory does not grow with the table."""
        rows = self._rows(database).order_by("pk")
        page = self._by_key(rows[:PAGE])
        while page:
            yield page
            page = self._by_key(rows.filter(pk__gt=list(page)[-1])[:PAGE])

    def rows(self, database: str, keys: Sequence[Any]) -> dict[Any, Row]:
        """The rows with these keys, a page at most, by key."""
        return self._by_key(self._rows(database).filter(pk__in=keys))

    def plain(self, row: Row) -> Row:
        """The row as it is compared: the same for both databases, however they keep their values."""
        return tuple([plain(value) for plain, value in zip(self._plain, row, strict=True)])

    def stored(self, row: Row, database: str) -> list[Any]:
        """The row as the driver of that database takes it."""
        connection, values = connections[database], list(row)
        for index in self._prepared:
            values[index] = self.fields[index].get_db_prep_save(row[index], connection)
        return values

    def _rows(self, database: str) -> QuerySet[Any]:
        # Where the search index has got to says nothing about a copy: that gets an index of its own.
        left_out = Q(name=indexer.READER) if self._model is EventReader else Q(pk__in=[])
        return self._model._default_manager.using(database).exclude(left_out).order_by()

    def _by_key(self, rows: QuerySet[Any]) -> dict[Any, Row]:
        found = rows.values_list(*[field.attname for field in self.fields])
        return {row[0]: row for row in found}


def all_tables() -> list[Table]:
    """Every table of the installed apps; what is referred to comes before what refers to it."""
    models = [model for model in apps.get_models(include_auto_created=True) if _has_table(model)]
    ordered: dict[type[Model], None] = {}
    while len(ordered) < len(models):
        for model in models:
            if model not in ordered and _refers_to(model) <= {*ordered, model}:
                ordered[model] = None
    return [Table(model) for model in ordered]


def _has_table(model: type[Model]) -> bool:
    return model._meta.managed and not model._meta.proxy


def _refers_to(model: type[Model]) -> set[Any]:
    return {field.related_model for field in model._meta.concrete_fields if field.is_relation}


def _is_stored_as_it_is(field: Any) -> bool:
    """Whether both databases take what Python has: to ask each field for each value took a third of the time."""
    kind = field.target_field if field.is_relation else field
    return kind.get_internal_type() in _AS_IT_IS


def _plain_of(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, JSONField):
        return lambda value: json.dumps(_whole_numbers(value), sort_keys=True)
    return {"BinaryField": _bytes, "DateTimeField": _moment}.get(field.get_internal_type(), _same)


def _same(value: Any) -> Any:
    return value


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _moment(value: datetime | None) -> str:
    return "" if value is None else value.astimezone(UTC).isoformat()


def _whole_numbers(value: Any) -> Any:
    """PostgreSQL writes 1e22 as a whole number."""
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
