"""The database that is to hold the copy: whether it may, and the mark that it is not complete yet.

The mark is a row among its migrations that no version knows, so no command and no service begins with half a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max

from dropslot.arrivals.moving.copy_tables import COPY, SOURCE, Uncopied
from dropslot.arrivals.moving.database_tables import Table
from dropslot.arrivals.upkeep import database
from dropslot.audit.models import Event
from dropslot.config import Config
from dropslot.config.servers.databases import django_database

_APP = "dropslot_arrivals"
# `migrate` fills these by itself, with other keys.
_MADE_BY_DJANGO = ("auth_permission", "django_content_type")


@contextmanager
def connected(config: Config, url: str) -> Iterator[None]:
    """The database of `url` is the alias COPY, which this process alone fills."""
    settings = connections.configure_settings({SOURCE: {}, COPY: django_database(url, config.data)})[COPY]
    connections.settings[COPY] = settings
    _refuse_source(settings, connections[SOURCE].settings_dict)
    try:
        with database.one_at_a_time(connections[COPY]):
            yield
    except DatabaseError as error:
        raise database.DatabaseUnready(
            database.words_for(error, connections[COPY]),
            where="The source was not changed",
            next_step="Then run this again: it goes on where it was",
        ) from error
    finally:
        connections[COPY].close()


def _refuse_source(its: dict[str, object], ours: dict[str, object]) -> None:
    if all(its.get(key) == ours.get(key) for key in ("ENGINE", "NAME", "HOST", "PORT")):
        raise Uncopied("This is the database that the installation has already", where="Nothing was changed")


def prepare(tables: Sequence[Table]) -> bool:
    """Give the copy its tables and its mark. False: an earlier run completed it. Raises Uncopied if it holds anything
    else than a copy of this installation."""
    recorder = MigrationRecorder(connections[COPY])
    marks = [
        name for app, name in recorder.applied_migrations() if app == _APP and name.startswith(database.HALF)
    ]
    if not marks and _holds(tables):
        _refuse_other(_first(COPY))
        _refuse_newer()
        return False
    if not marks:
        recorder.ensure_schema()
        recorder.record_applied(_APP, _mark())
    elif marks != [_mark()]:
        raise _other("an unfinished copy of another installation")
    with as_default():  # a package's own migration may know no other database
        call_command("migrate", database=COPY, interactive=False, verbosity=0)
    if not _holds(tables):
        _empty()
    return True


@contextmanager
def as_default() -> Iterator[None]:
    """What works with the default database works with the copy."""
    before = connections[SOURCE]
    connections[SOURCE] = connections[COPY]
    try:
        yield
    finally:
        connections[SOURCE] = before


def complete() -> None:
    """From now on it can be used."""
    MigrationRecorder(connections[COPY]).record_unapplied(_APP, _mark())


def _mark() -> str:
    return f"{database.HALF}{_first(SOURCE)[:32]}"


def _first(alias: str) -> str:
    """What distinguishes one installation's trail from all others: the hash of its first event."""
    return Event.objects.using(alias).filter(seq=1).values_list("hash", flat=True).first() or "empty"


def _holds(tables: Sequence[Table]) -> bool:
    """Whether it has any row of an installation."""
    there = set(connections[COPY].introspection.table_names())
    found = [each for each in tables if each.name in there and each.name not in _MADE_BY_DJANGO]
    return any(table.is_in(COPY) for table in found)


def _refuse_other(first: str) -> None:
    if first != _first(SOURCE):
        raise _other("another installation, or what was not copied by this command")


def _refuse_newer() -> None:
    """A copy that was completed and then used is the one to keep."""
    ours, theirs = (Event.objects.using(one).aggregate(seq=Max("seq"))["seq"] or 0 for one in (SOURCE, COPY))
    if theirs > ours:
        raise Uncopied(
            f"The other database is a copy that was used since: it has {theirs:,} events, this one has {ours:,}",
            where="Nothing was changed in either. Do not empty it: it may be the one that the service uses",
            next_step="Name it as `database` in config.yaml; it needs no copy",
        )


def _other(what: str) -> Uncopied:
    return Uncopied(
        f"The other database holds {what}",
        where="Nothing was changed in either",
        next_step="Name an empty database: createdb makes one",
    )


def _empty() -> None:
    with connections[COPY].cursor() as cursor:
        for name in _MADE_BY_DJANGO:
            cursor.execute(f"DELETE FROM {name}")
