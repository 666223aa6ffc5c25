"""The steps of `migrate_data`. The source is locked against writing until the end, and only read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.core.management.color import no_style
from django.db import connections, transaction

from dropslot.arrivals.listings.search import indexer
from dropslot.arrivals.moving import compare_databases, copy_tables, target_database
from dropslot.arrivals.moving.copy_tables import COPY, EMPTY_IT, SOURCE, Say, Uncopied
from dropslot.arrivals.moving.database_tables import Table, all_tables
from dropslot.audit import signing_key, triggers
from dropslot.audit.verifying import verify
from dropslot.config import Config


@dataclass(frozen=True, slots=True)
class Moved:
    """What the copy was proved to hold. `is_new`: this run completed it; otherwise an earlier one had."""

    tables: Sequence[compare_databases.Compared]
    chain: verify.ChainReport
    is_new: bool


def copy_database(config: Config, url: str, say: Say) -> Moved:
    """Make the database of `url` an equal of the installation's own. Raises Uncopied, Differs, DatabaseUnready. After
    a crash at any point, the next call goes on; until it is complete, nothing can use the copy."""
    tables = all_tables()
    with target_database.connected(config, url), _locked(tables):
        if is_new := target_database.prepare(tables):
            copy_tables.fill(tables, say)
            _set_sequences()
            _index(say)
        compared = compare_databases.compare(tables, say)
        if missing := triggers.missing(connections[COPY]):
            raise Uncopied(
                f"The copy's audit trail is not guarded: {', '.join(missing)} is missing or switched off",
                where="The source was not changed. The copy must not be used",
                next_step=EMPTY_IT,
            )
        # A fault of a row is also in the source, which the copy equals: it is reported, and stays as evidence.
        chain = verify.chain(using=COPY, signers=_signers(config))
        if is_new:
            target_database.complete()
    return Moved(compared, chain, is_new)


def _signers(config: Config) -> frozenset[bytes]:
    return signing_key.allowed_signers(config.keys / signing_key.ALLOWED_SIGNERS)


@contextmanager
def _locked(tables: Sequence[Table]) -> Iterator[None]:
    """Nobody writes to the source until the block ends. SQLite's transactions begin with the write lock."""
    with transaction.atomic(using=SOURCE):
        if connections[SOURCE].vendor == "postgresql":
            names = ", ".join(connections[SOURCE].ops.quote_name(table.name) for table in tables)
            with connections[SOURCE].cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '20s'")
                cursor.execute(
                    "SET LOCAL idle_in_transaction_session_timeout = 0"
                )  # while the copy is verified
                cursor.execute(f"LOCK TABLE {names} IN SHARE MODE")
        yield


def _set_sequences() -> None:
    """The next row that the copy numbers by itself gets a number above all others."""
    from django.apps import apps

    models = apps.get_models(include_auto_created=True)
    with connections[COPY].cursor() as cursor:
        for statement in connections[COPY].ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


def _index(say: Say) -> None:
    """The copy's own index for searches, if the source has one. PostgreSQL and SQLite keep it in different forms."""
    if not indexer.has_begun():
        return
    with target_database.as_default():
        if indexer.is_possible():
            indexer.begin()
            done = 0
            while taken := indexer.catch_up():
                done += taken
                say("index of searches", done)
