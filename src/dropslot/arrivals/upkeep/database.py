"""The database at start: made when it is new, brought up to date when it is older, refused when it is not
ours to use."""

from __future__ import annotations

import fcntl
import os
import pkgutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from dropslot.arrivals.upkeep import readonly
from dropslot.audit import locks
from dropslot.config.mistakes.remedies import in_words
from dropslot.core.apps import NAMES
from dropslot.core.concealing import Secret
from dropslot.core.context import kept
from dropslot.core.errors import DropslotError

OURS = frozenset(name.replace(".", "_") for name in NAMES)  # the label of each app
Migration = tuple[str, str]
# Such a migration is recorded in a database that `migrate_data` has not filled completely.
HALF = "half_copied_"
LOOK_SECONDS = 5.0


class DatabaseUnready(DropslotError):
    """The database cannot be used as it is. Nothing was changed in it, and nothing was taken from an
    inbox."""

    code: ClassVar[str] = "database"


class DatabaseNewer(DatabaseUnready):
    """A newer version of dropslot has brought the database up to date while this one was at work."""


class _Looks:
    """When this process looked last whether the database is still of its version."""

    again_at = float("-inf")
    found: DatabaseNewer | None = None


def require_not_newer() -> None:
    """Raise DatabaseNewer if a newer version has migrated the database since this process began. For processes that
    stay: call it between pieces of work, as often as you like. Raises DatabaseError."""
    looks = kept(_Looks)
    if looks.found:
        raise looks.found
    if time.monotonic() < looks.again_at:
        return
    looks.again_at = time.monotonic() + LOOK_SECONDS
    if unknown := _unknown(set(MigrationRecorder(connection).applied_migrations())):
        looks.found = DatabaseNewer(
            f"A newer version of dropslot has brought the database {_place()} up to date: it has {_named(unknown)}",
            where="What was begun is finished, and nothing more is taken",
            next_step="Install that version on this machine, too, and start it",
        )
        raise looks.found


def found_newer() -> DatabaseNewer | None:
    """What `require_not_newer` raises; None also if the database does not answer, which others say."""
    try:
        require_not_newer()
    except DatabaseNewer as error:
        return error
    except DatabaseError:
        connection.close()
    return None


def prepare() -> None:
    """Make sure that the default database has this version; call it once at the start of a command.

    A new or older database is migrated, by one process while others wait. Inside another project, whose database is
    not ours to change, the error says to migrate. Raises DatabaseUnready when the database is newer than this
    version, corrupt, locked for long, or cannot be reached. After a crash it is as it was before one of the
    migrations.
    """
    Secret(connection.settings_dict.get("PASSWORD") or "")  # of a project's own settings: known from here on
    _check_settings()
    _check_transactions()
    try:
        ours_alone = getattr(settings, "DROPSLOT_MIGRATES", False)
        if ours_alone and (_is_new_file() or _missing()):
            with one_at_a_time(connection):
                if _missing():
                    call_command("migrate", interactive=False, verbosity=0)
        elif not ours_alone and (missing := _missing()):
            raise DatabaseUnready(
                f"The database lacks {_named(missing)}", next_step="Run `python manage.py migrate`"
            )
    except (DatabaseError, ImproperlyConfigured) as error:
        raise DatabaseUnready(words_for(error)) from error


def require_no_transaction() -> None:
    """Raise DatabaseUnready inside a transaction, as in a view under ATOMIC_REQUESTS: deliveries must be recorded
    durably, and other threads and processes wait for this one's locks."""
    if connection.in_atomic_block:
        raise DatabaseUnready(
            "This command cannot run inside a database transaction",
            where="Nothing was changed",
            next_step="Call it outside of transaction.atomic(); in a view, mark that with"
            " @transaction.non_atomic_requests",
        )


def prepare_to_read() -> None:
    """As `prepare`, for a command that changes nothing: it also works where this account may only read the file, and
    on a disk that is read-only or full. Raises DatabaseUnready."""
    if readonly.is_needed(connection):
        _prepare_read_only()
        return
    try:
        prepare()
    except DatabaseUnready:
        if not readonly.is_stuck(connection):
            raise
        _prepare_read_only()


def _prepare_read_only() -> None:
    try:
        readonly.open_to_read(connection)
        missing = _missing()
    except (DatabaseError, OSError) as error:
        raise DatabaseUnready(_words_to_read(error)) from error
    if missing:
        raise DatabaseUnready(
            f"The database {_place()} was made by an older version: it lacks {_named(missing)}",
            next_step="Start the service once, which brings it up to date",
        )


def _words_to_read(error: DatabaseError | OSError) -> str:
    if isinstance(error, DatabaseError):
        return words_for(error)
    path = Path(os.fsdecode(error.filename)) if error.filename else Path(_place())
    return f"The database {_place()} cannot be read: {in_words(error, path)}"


def words_for(error: BaseException, of: BaseDatabaseWrapper | None = None) -> str:
    """The meaning of an error of Django or its database (the default one), and what to do."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    where = _place(of)
    for sign, words in _SIGNS.items():
        if sign in text.lower():
            fault = _fault_of_file(text) if "{fault}" in words else ""
            return words.format(where=where, text=text, fault=fault)
    return f"The database {where} does not work: {text}. Nothing is lost; the inboxes keep what was dropped."


_CORRUPT = (
    "The database {where} is corrupt: {text}. Arrivals are safe in their folders. Move the file away with its -wal"
    " and -shm, and put a backup in its place; `sqlite3 FILE .recover` may save what is newer."
)
# Signs in the errors of SQLite, PostgreSQL and Django, none of which has codes for all of these.
_SIGNS = {
    "not a database": _CORRUPT,
    "malformed": _CORRUPT,
    "locked": "The database {where} is locked by another process and was not released in time. Nothing was"
    " changed. Try again; if this goes on, find out which process has it open (`fuser FILE`).",
    **dict.fromkeys(
        ("unable to open", "readonly", "disk is full", "disk i/o error"),
        "The database {where} cannot be used: {fault}. Nothing is lost; the inboxes keep what was dropped.",
    ),
    "password": "The database {where} refused the account: {text}. Set DROPSLOT_DATABASE_PASSWORD, or"
    " DROPSLOT_DATABASE_PASSWORD_FILE.",
    "psycopg": "PostgreSQL needs a package that is not installed: pip install 'dropslot[postgres]'.",
    **dict.fromkeys(
        ("read-only transaction", "in hot standby", "session is read-only", "recovery mode"),
        "The database {where} can only be read now: {text}. Is it a standby that was not promoted, or switched to"
        " read-only? Nothing is lost; the inboxes keep what was dropped.",
    ),
    "no space left": "The server of the database {where} has no space left: {text}. Free space there. Nothing is lost;"
    " the inboxes keep what was dropped.",
    **dict.fromkeys(
        ("statement timeout", "lock timeout"),
        "The database {where} is too slow, or another program holds its tables: {text}. Nothing was changed by this.",
    ),
    "connection": "The database {where} does not answer: {text}. Is it running, and is its address right? Nothing is"
    " lost; the inboxes keep what was dropped.",
}


# If the file and its folder show no cause: it may have been fixed since.
_GUESSES = {
    "unable to open": "Run this as the service's account, and let it write to the folder",
    "readonly": "Run this as the service's account; is the disk mounted read-only",
    "disk is full": "The disk is full: free space",
    # With a write-ahead log, SQLite reports a full disk like this, because it cannot enlarge the file that processes
    # share.
    "disk i/o error": "Is its disk full (`df`), or broken (`dmesg`)",
}


def _fault_of_file(text: str) -> str:
    """Why SQLite cannot use its file: SQLite itself says only that it cannot."""
    if file := readonly.file_of(connection):
        try:
            readonly.prove_writable(file)
        except OSError as error:
            return in_words(error, Path(os.fsdecode(error.filename or file)))
    return f"{text}. {next(guess for sign, guess in _GUESSES.items() if sign in text.lower())}"


def _check_settings() -> None:
    if not settings.USE_TZ:
        raise DatabaseUnready(
            "This project's settings have USE_TZ = False, and times of deliveries would be ambiguous",
            next_step="Set USE_TZ = True; TIME_ZONE stays what it is",
        )
    elsewhere = {router.db_for_write(model) for model in apps.get_models() if model._meta.app_label in OURS}
    if elsewhere - {"default"}:
        raise DatabaseUnready(
            f"A database router of this project sends dropslot's tables to {', '.join(sorted(elsewhere))}",
            next_step="Let DATABASE_ROUTERS keep the apps of dropslot in 'default'",
        )


def _check_transactions() -> None:
    if (
        connection.vendor == "sqlite"
        and connection.settings_dict["OPTIONS"].get("transaction_mode") != "IMMEDIATE"
    ):
        raise DatabaseUnready(
            f"The database {_place()} lets two processes block each other",
            next_step="Set OPTIONS of DATABASES to {'transaction_mode': 'IMMEDIATE', 'timeout': 20}",
        )


def is_there() -> bool:
    """Whether there is a database to ask: nothing is made by asking whether a SQLite file exists."""
    return not _is_new_file()


def _is_new_file() -> bool:
    """Whether SQLite would create the file: two processes that create it at once disturb each other."""
    path = readonly.file_of(connection)
    return path is not None and not (path.exists() and path.stat().st_size)


def _missing() -> set[Migration]:
    """Migrations that this version has and the database does not; raises if the database has unknown ones of
    dropslot."""
    recorded = set(MigrationRecorder(connection).applied_migrations())
    unknown = _unknown(recorded)
    if any(name.startswith(HALF) for _, name in unknown):
        raise DatabaseUnready(
            f"The database {_place()} is an unfinished copy of another one",
            where="Nothing was changed; the other one has everything",
            next_step="Let config.yaml name the other one again, and repeat `dropslot migrate_data --to` with this one",
        )
    if unknown:
        raise DatabaseUnready(
            f"The database {_place()} was made by a newer version of dropslot: it has {_named(unknown)}",
            where="Nothing was changed",
            next_step="Install that version again, or put back the backup that was made before it",
        )
    standalone = getattr(settings, "DROPSLOT_MIGRATES", False)
    return {entry for entry in _known() - recorded if standalone or entry[0] in OURS}


def _unknown(recorded: set[Migration]) -> set[Migration]:
    """Migrations of dropslot that only a newer version has."""
    ours = OURS & {app.label for app in apps.get_app_configs()}  # a project may leave some out
    return {entry for entry in recorded - _known() if entry[0] in ours}


class _Known:
    """The migrations of this process's own version. They are looked up once: a newer version may be installed into
    the same place while this process runs."""

    def __init__(self) -> None:
        self.migrations = _installed()


def _known() -> set[Migration]:
    return kept(_Known).migrations


def _installed() -> set[Migration]:
    """The migrations of the installed apps, by the names of their files: Django's loader would import them
    all."""
    known = set()
    for app in apps.get_app_configs():
        try:
            package = import_module(f"{app.name}.migrations")
        except ModuleNotFoundError:
            continue  # an app without tables
        known |= {
            (app.label, found.name)
            for found in pkgutil.iter_modules(package.__path__)
            if found.name[0] not in "_~"
        }
    return known


def _named(migrations: set[Migration]) -> str:
    return "the migrations " + ", ".join(f"{app}.{name}" for app, name in sorted(migrations))


def _place(of: BaseDatabaseWrapper | None = None) -> str:
    one = of or connection
    values = one.settings_dict
    name = str(values.get("NAME") or "")
    if one.vendor == "sqlite":
        return str(readonly.file_of(one) or name)
    return f"{name} at {values.get('HOST') or 'the local socket'}"


@contextmanager
def one_at_a_time(of: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold the lock of migrations: two processes that start at once must not both make the tables."""
    if of.vendor == "postgresql":
        with _advisory_lock(of):
            yield
    else:
        with _file_lock(Path(f"{of.settings_dict['NAME']}.migrate.lock")):
            yield


@contextmanager
def _advisory_lock(of: BaseDatabaseWrapper) -> Iterator[None]:
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [locks.MIGRATIONS])
    try:
        yield
    finally:
        if not of.closed_in_transaction and of.is_usable():
            with of.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [locks.MIGRATIONS])


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    # Freed by the system when the process ends, however it ends.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
