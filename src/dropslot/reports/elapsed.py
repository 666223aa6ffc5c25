"""The time between two columns, counted by the database: a million rows are no rows for Python."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func
from django.db.models.sql.compiler import SQLCompiler


class Elapsed(Func):
    """`Elapsed(later, earlier, seconds=60)`: the whole minutes from one time to the other; NULL if one is not known.
    In SQLite Django's own subtraction calls Python for each row."""

    output_field = BigIntegerField()
    arity = 2

    def __init__(self, later: Any, earlier: Any, *, seconds: int) -> None:
        super().__init__(later, earlier)
        self.seconds = seconds

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        # julianday is exact to a millisecond; without half of one, 60 s could be 59.9999.
        template = f"CAST(((julianday(%(expressions)s)) * 86400.0 + 0.0005) / {self.seconds} AS INTEGER)"
        return super().as_sql(compiler, connection, template=template, arg_joiner=") - julianday(")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        template = f"CAST(floor(extract(epoch FROM (%(expressions)s)) / {self.seconds}) AS bigint)"
        return super().as_sql(compiler, connection, template=template, arg_joiner=" - ")
