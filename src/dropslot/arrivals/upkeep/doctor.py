"""What is wrong with an installation, and how to fix it."""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from django.db import DatabaseError, connection

from dropslot.arrivals import registry
from dropslot.arrivals.delivery.staged_checks import checks_of
from dropslot.arrivals.intake import inboxes, seal
from dropslot.arrivals.intake.claim import WRITABLE
from dropslot.arrivals.intake.record import user_name
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.outbox_readers import after
from dropslot.arrivals.outbox_readers.for_senders import doctor as for_senders
from dropslot.arrivals.registry import Finding
from dropslot.arrivals.upkeep import markers, readonly, watching_over
from dropslot.arrivals.upkeep.rebuilding.signs import REMEDY, signs
from dropslot.checks.pdf_contains import PdfContains
from dropslot.config import Config, Deliver, Route
from dropslot.config.mistakes import blame
from dropslot.config.mistakes.remedies import remedy_for
from dropslot.config.route_folders import FolderSet, folder_sets
from dropslot.core.concealing import conceal
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.core.states import State
from dropslot.core.templates import Template
from dropslot.destinations import kind_of
from dropslot.files import folder_probe
from dropslot.lookup import load_tables, table_file
from dropslot.lookup.models import Folder
from dropslot.parsing import process
from dropslot.watching.reasons import Why

WRITABLE_BY_SENDERS = 0o003
_OFTEN = 3  # attempts
_ADVICE_OF_ITSELF = re.compile(r"[;.] [^;.]*`dropslot doctor`[^;.]*")
_NAMED = 10  # so many entries of an inbox are named one by one


def examine(config: Config) -> Iterator[Finding]:
    """Check everything that a delivery needs; changes nothing except trial files, which are removed again."""
    for found in _findings(config):
        yield replace(found, what=conceal(found.what), remedy=conceal(found.remedy))


def _findings(config: Config) -> Iterator[Finding]:
    yield from _data(config)
    yield from _database(config)
    yield from _broker(config)
    for route in config.routes.values():
        sets = folder_sets(route, make=False)
        if not sets:
            yield Finding(
                "warning",
                f"route {route.key}",
                f"no inbox matches {route.inbox}",
                _make_one_of(route.inbox),
            )
        for folders in sets:
            yield from _folders(folders)
        for rule in route.deliver:
            yield _destination(route, rule)
        yield from _after(route)
        yield from for_senders.examine(route)
        yield from _failing_again(route)
        yield from _patterns(route)
    yield from _tables(config)
    yield from _parsers()
    yield from _watching(config)
    yield from watching_over.examine(config)
    yield from registry.findings(config)


def _broker(config: Config) -> Iterator[Finding]:
    if not config.broker:
        return
    from dropslot.broker.doctor import forgets_tasks, trouble

    broker = escape(config.broker)
    if found := trouble(config):
        yield Finding("error", "broker", f"{broker} {escape(found.what)}", found.remedy)
    elif forgets_tasks(config):
        what = (
            f"{broker} writes nothing to its disk: tasks of `after` that wait there are lost when it restarts"
        )
        yield Finding("warning", "broker", what, "redis-cli CONFIG SET appendonly yes, then CONFIG REWRITE")
    else:
        yield Finding("ok", "broker", f"{broker} answers")


def _make_one_of(inbox: str) -> str:
    """The command that makes an inbox whose path has fields; the fields are in capitals."""
    template = Template(inbox)
    return (
        f"install -d -m 3773 {shlex.quote(template.fill({name: name.upper() for name in template.fields}))}"
    )


def _after(route: Route) -> Iterator[Finding]:
    """Failed calls after deliveries."""
    failing = list(after.failing().filter(arrival__route=route.key).order_by("-due_at"))
    if failing:
        last = failing[0]
        calls = counted(len(failing), "call")
        what = f"{calls} after a delivery failed; {last.arrival.name} ({last.arrival_id}): {last.error}"
        remedy = (
            f"fix the function; dropslot retry {last.arrival_id} calls it at once; dropslot pending lists all"
        )
        yield Finding("error", f"route {route.key}, after", what, remedy)


def _failing_again(route: Route) -> Iterator[Finding]:
    """Problems that do not go away: a custom check or field that fails, a destination that never answers."""
    again = Arrival.objects.filter(route=route.key, state=State.RETRYING, attempts__gte=_OFTEN)
    if (row := again.order_by("-due_at").first()) is not None:
        reason = _ADVICE_OF_ITSELF.sub("", "; ".join(row.reason))
        arrivals = counted(again.count(), "arrival")
        what = f"{arrivals} failed several times; {row.name} ({row.id}), {row.attempts} times: {reason}"
        remedy = f"fix that; dropslot retry {row.id} runs it at once; dropslot pending lists all"
        yield Finding("warning", f"route {route.key}, at work", what, remedy)


def _data(config: Config) -> Iterator[Finding]:
    try:
        seen = os.stat(config.data)
        readonly.prove_folder_writable(config.data)
    except OSError as error:
        what = f"{config.data} cannot be used: {error.strerror}"
        yield Finding("error", "data", what, remedy_for(error, config.data))
        return
    if stat.S_IMODE(seen.st_mode) & 0o077:
        remedy = f"chmod 700 {config.data}"
        yield Finding("error", "data", f"{config.data} holds keys and can be read by others", remedy)
    else:
        yield Finding("ok", "data", f"{config.data} is the service's own")
    for key in sorted(config.keys.glob("*")) if config.keys.is_dir() else []:
        if (
            key.suffix != ".pub"
            and key.name != "allowed_signers"
            and stat.S_IMODE(key.stat().st_mode) & 0o077
        ):
            yield Finding("error", "keys", f"{key} can be read by others", f"chmod 600 {key}")


def _database(config: Config) -> Iterator[Finding]:
    try:
        Arrival.objects.exists()
        drift = _drift_seconds()
    except DatabaseError as error:
        yield Finding(
            "error",
            "database",
            f"it does not answer: {error}",
            "start the server, or correct `database` in config.yaml",
        )
        return
    behind = list(signs(config))
    for sign in behind:
        yield Finding("error", "database", sign, REMEDY)
    if not behind:
        yield Finding("ok", "database", f"{connection.vendor} answers")
    if drift > 5:
        remedy = "set both clocks by NTP; leases follow the database's"
        yield Finding("warning", "clock", f"this machine and the database are {drift:.0f} s apart", remedy)


def _drift_seconds() -> float:
    if connection.vendor != "postgresql":
        return 0.0  # its clock is this machine's
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        return abs(float(cursor.fetchone()[0]) - time.time())


def _folders(folders: FolderSet) -> Iterator[Finding]:
    about = f"route {folders.route.key}"
    four = (folders.inbox, folders.processing, folders.done, folders.failed)
    missing = [path for path in four if not path.is_dir()]
    for path in missing:
        mode = "3773" if path == folders.inbox else "700"
        yield Finding("error", about, f"{escape(str(path))} is missing", f"install -d -m {mode} {path}")
    if missing:
        return
    yield from markers.examine(folders)
    yield from _inbox(folders, about)
    yield from _waiting(folders, about)
    for path in (folders.processing, folders.done, folders.failed):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding("error", about, f"{escape(str(path))} can be used by others", f"chmod 700 {path}")
    yield from _trial_rename(folders, about)


def _inbox(folders: FolderSet, about: str) -> Iterator[Finding]:
    inbox = folders.inbox
    mode = stat.S_IMODE(inbox.stat().st_mode)
    if not os.access(inbox, os.R_OK | os.W_OK | os.X_OK):
        read_only = os.statvfs(inbox).f_flag & os.ST_RDONLY
        yield Finding(
            "error",
            about,
            f"{escape(str(inbox))} cannot be read and written by {user_name(os.geteuid())}",
            remedy_for(OSError(errno.EROFS), inbox)
            if read_only
            else f"chown {user_name(os.geteuid())} {inbox}",
        )
    if mode & WRITABLE_BY_SENDERS and not mode & stat.S_ISVTX:
        yield Finding(
            "error",
            about,
            f"in {escape(str(inbox))} senders can delete each other's files",
            f"chmod +t {inbox}",
        )
    if mode & stat.S_IROTH:
        remedy = f"keep this if Explorer or Finder must show the inbox; otherwise chmod o-r {inbox}"
        yield Finding("warning", about, f"everybody can list {escape(str(inbox))}", remedy)
    if mode & 0o033 and not folders.route.leave_source and not seal.may_chown():
        yield Finding(
            "warning",
            about,
            "folders that were sent with umask 022 or 077 cannot be taken without CAP_CHOWN, which is not here",
            f"nothing if the service runs from its systemd unit, which has CAP_CHOWN; otherwise {WRITABLE}",
        )


_REMEDIES = {
    "temporary": "let its sender finish and rename it, or remove it: it is never taken under this name",
    "unfinished": "let its sender send it again, or remove the unfinished file",
    "empty": "fill it, or remove it",
    "other kind": "put it into the inbox of a route that takes it",
    "ignored": "take it out, if nobody needs it there",
    "unreadable": "check its disk, owner and mode",
}


def _waiting(folders: FolderSet, about: str) -> Iterator[Finding]:
    """Entries of the inbox that are not taken, since when, each with its remedy."""
    rows = {row.name: row for row in Arrival.objects.filter(inbox=str(folders.inbox), state=State.WAITING)}
    found = [
        (escape(name), why)
        for name, why in inboxes.entries(folders)
        if why.kind in _REMEDIES or escape(name) in rows
    ]
    for name, why in found[:_NAMED]:
        yield _waits(folders, about, name, why, rows.get(name))
    if len(found) > _NAMED:
        what = f"{len(found) - _NAMED} more in {escape(str(folders.inbox))} cannot be taken as they are"
        yield Finding("warning", about, what, "dropslot pending names them")


def _waits(folders: FolderSet, about: str, name: str, why: Why, row: Arrival | None) -> Finding:
    since = row.received_at if row else datetime.fromtimestamp(why.since, UTC)
    what = f"{name}, since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: "
    if row and why.kind not in _REMEDIES:  # it is whole, and the service may not take it
        return Finding("warning", about, f"{what}it waits in the inbox", " ".join(row.reason))
    # The person who wrote `other_kinds: ignore` knows about it.
    is_wanted = why.kind == "ignored" and folders.route.other_kinds == "ignore"
    return Finding("ok" if is_wanted else "warning", about, f"{what}{why.reason}", _REMEDIES[why.kind])


def _trial_rename(folders: FolderSet, about: str) -> Iterator[Finding]:
    """processing, done and failed must be on the inbox's file system: a trial shows this, device numbers do not."""
    if folders.route.leave_source:
        return
    for path in (folders.processing, folders.done, folders.failed):
        reason = folder_probe.rename_trial(folders.inbox, path)
        if reason:
            where = f"from {escape(str(folders.inbox))} to {escape(str(path))}"
            yield Finding(
                "error",
                about,
                f"nothing can be moved {where}: {reason}",
                "put both on one file system, under one mount",
            )
            return
    yield Finding("ok", about, f"{escape(str(folders.inbox))}, processing, done and failed work together")


def _destination(route: Route, rule: Deliver) -> Finding:
    about = f"route {route.key}, {rule.to}"
    try:
        found = kind_of(rule.to).examine(rule, route.space.warn or 95)
    except DropslotError as error:
        return Finding("error", about, error.what, error.next_step)
    except Exception as error:  # noqa: BLE001 - a kind of somebody's own must not hide what else is found
        return Finding("error", about, f"its own code fails: {blame.in_words(error)}", "correct the plugin")
    return Finding(found.level, about, found.what, found.remedy)


def _patterns(route: Route) -> Iterator[Finding]:
    """Patterns of `pdf_contains` that find a number within a longer one: arrivals with such names are refused."""
    try:
        checks = checks_of(route)
    except DropslotError as error:
        yield Finding("error", f"route {route.key}, checks", error.what, error.next_step)
        return
    for check in checks:
        if isinstance(check, PdfContains) and (cut := check.open_end()):
            where = "beginning" if cut.begins_sooner else "end"
            yield Finding(
                "warning",
                f"route {route.key}, pdf_contains",
                f"its pattern has no {where}: from {escape(cut.name)} it takes {escape(cut.taken)}, which is another"
                f" number or word than {escape(cut.whole)}; such a file is refused",
                r"write (?!\d) behind the number"
                if where == "end"
                else r"write ^ or (?<!\d) before the number",
            )


def _tables(config: Config) -> Iterator[Finding]:
    """Folder tables: anyone who can write to one decides who gets whose results."""
    for table, file in load_tables.tables(config).items():
        about = f"table {escape(table)}"
        count = Folder.objects.filter(table__name=table).count()
        if not file.is_file():
            remedy = f"put it back, or correct `lookup` in config.yaml; {count} folders loaded from it count"
            yield Finding("warning" if count else "error", about, f"{escape(str(file))} is missing", remedy)
        elif stat.S_IMODE(file.stat().st_mode) & 0o002:
            yield Finding(
                "error", about, f"{escape(str(file))} can be changed by anybody", f"chmod o-w {file}"
            )
        elif not count:
            yield Finding("warning", about, "no folder is loaded", f"dropslot load_remote_folders {file}")
        else:
            yield Finding("ok", about, f"{count} folders are loaded")
            yield from _odd_lines(file, about)


def _odd_lines(file: Path, about: str) -> Iterator[Finding]:
    """The findings that a load of the present file would give."""
    try:
        found = table_file.read(file.read_bytes())
    except (OSError, table_file.BadTable) as error:
        yield Finding(
            "warning",
            about,
            f"{escape(str(file))} cannot be loaded: {escape(str(error))}",
            "correct the file",
        )
        return
    for kind, lines in (("would be refused", found.refused), ("are odd", found.suspected)):
        if lines:
            what = f"{len(lines):,} lines {kind}, first line {lines[0].number}: {lines[0].reason}"
            yield Finding("warning", about, what, f"correct it, then: dropslot load_remote_folders {file}")


def _parsers() -> Iterator[Finding]:
    """The confinement of the processes that read strangers' files."""
    parser = process.parser(process.CONTENT_TYPES)
    try:
        missing = parser.start()
    except process.NotParsed as error:
        remedy = "pip install 'dropslot[server]' for a missing module; until then, arrivals that need such checks wait"
        yield Finding("error", "parsers", f"the program that examines senders' files {error}", remedy)
        return
    finally:
        parser.close()
    if missing:
        what = f"the program that examines senders' files is not fully confined: {'; '.join(missing)}"
        remedy = "allow seccomp and Landlock (kernel 5.13 or later; in a container: its seccomp profile)"
        yield Finding("warning", "parsers", what, remedy)
    else:
        yield Finding(
            "ok", "parsers", "the program that examines senders' files has no rights, network or files here"
        )


def _watching(config: Config) -> Iterator[Finding]:
    needed = 8 + sum(len(folder_sets(route, make=False)) for route in config.routes.values())
    path = Path("/proc/sys/fs/inotify/max_user_watches")
    if path.exists() and (have := int(path.read_text())) < needed:
        what = f"only {have} folders can be watched; the others are polled"
        yield Finding("warning", "inotify", what, f"sysctl fs.inotify.max_user_watches={max(524288, needed)}")
