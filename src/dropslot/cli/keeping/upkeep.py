"""`retry`, `dismiss`, `verify`, `doctor`: keeping an installation healthy."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.keeping.timestamping import say_stamps
from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.in_turn import given_reason, in_turn
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import reading, started
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dropslot.arrivals.models import Arrival
    from dropslot.audit.chain import Head
    from dropslot.keeping.fixity.fixity_report import Seen
    from dropslot.keeping.fixity.stored_files import Note

commands = typer.Typer()


@commands.command()
def retry(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Arrivals; the start of an id is enough.")],
    config: ConfigPath = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NEW", help="Run it under this name; one arrival only.")
    ] = None,
) -> None:
    """Run failed arrivals again. The service does it, or the next `drain`.

    An arrival that was renamed inside failed runs under its new name.
    """
    if name == "":
        raise UsageError(
            "--name needs a name",
            where="Nothing was changed",
            next_step="Leave out --name to keep the name that it has",
        )
    settings = started(config)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.upkeep.retry import READY
    from dropslot.arrivals.upkeep.retry import retry as run_again

    found = queries.find_all(ids)
    if name and len(found) > 1:
        raise UsageError("--name works with one arrival only", next_step="Retry the others without it")
    by = user_name(os.getuid())
    in_turn(found, lambda arrival: f"({run_again(settings, arrival, name=name or '', by=by)}) {READY}.")


@commands.command()
def dismiss(
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Arrivals; the start of an id is enough.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")],
    config: ConfigPath = None,
) -> None:
    """Give up refused arrivals for good: they are not retried, and `purge --failed` may remove them."""
    why = given_reason(reason)
    settings = started(config)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.arrivals.listings import queries
    from dropslot.arrivals.upkeep.retry import dismiss as end

    by = user_name(os.getuid())

    def ended(arrival: Arrival) -> str:
        end(settings, arrival, reason=why, by=by)
        return (
            f"({arrival.name}) is dismissed. It stays in failed until `dropslot purge --failed` removes it."
        )

    in_turn(queries.find_all(ids), ended)


@commands.command()
def verify(
    config: ConfigPath = None,
    fixity: Annotated[
        bool, typer.Option("--fixity", help="Also read every stored file and compare its SHA-256.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="SEQ:HASH",
            help="A head of the chain, as verify prints it, that was kept elsewhere.",
        ),
    ] = None,
) -> None:
    """Check the audit chain and, with --fixity, every stored file."""
    settings = reading(config)
    from dropslot.arrivals.upkeep.rebuilding.signs import REMEDY, signs
    from dropslot.audit import signing_key
    from dropslot.audit.verifying import verify as audit
    from dropslot.keeping.fixity.originals import check_archives
    from dropslot.keeping.fixity.stored_files import check_all

    heads = [_head(text) for text in head or []]
    chain = audit.chain(
        heads=heads, signers=signing_key.allowed_signers(settings.keys / signing_key.ALLOWED_SIGNERS)
    )
    _say_faults(chain.faults, chain.found)
    sys.stdout.write(
        f"Chain: {counted(chain.checked, 'event')}, {counted(chain.receipts, 'receipt')},"
        f" {counted(chain.signatures, 'signature')}: "
        f"{'OK' if chain.ok else counted(chain.found, 'fault')}.\nHead {chain.head.seq}:{chain.head.hash}\n"
    )
    stamped = say_stamps(settings)
    sound = chain.ok
    for sign in signs(settings):
        sound = False
        sys.stdout.write(f"FAULT database: {sign}\n")
    if chain.ok and not sound:
        sys.stdout.write(f"{REMEDY}.\n")
    if fixity:
        files = check_all(note=_note())
        _say_faults(files.faults, files.found)
        sys.stdout.write(
            f"Fixity: {counted(files.checked, 'stored file')}, {counted(files.size_bytes, 'byte')} read: "
            f"{'OK' if files.ok else counted(files.found, 'fault')}.\n"
        )
        if files.acknowledged:
            sys.stdout.write(
                f"{counted(files.acknowledged, 'more file')} at destinations that only acknowledge: not verified,"
                " since nothing can be read back there.\n"
            )
        sound = sound and files.ok
    archives = check_archives(settings, read=fixity)
    if archives.checked:
        _say_faults(archives.faults, archives.found)
        sys.stdout.write(
            f"Originals that were read without a lease: {archives.checked} compared: "
            f"{'OK' if archives.ok else counted(archives.found, 'fault')}.\n"
        )
    if not (sound and stamped and archives.ok):
        raise typer.Exit(1)


def _note() -> Note:
    """What records damaged files, so that `damaged` lists them and `mend` finds them."""
    from django.apps import apps

    if not apps.is_installed("dropslot.keeping"):
        return len
    from django.db import DatabaseError

    from dropslot.keeping.fixity import damage

    def note(seen: Sequence[Seen]) -> None:
        try:
            damage.note(seen)
        except DatabaseError as error:  # this account may only read it
            sys.stderr.write(f"dropslot: what was found could not be recorded for `mend`: {error}\n")

    return note


def _head(text: str) -> Head:
    from dropslot.audit.chain import head_from

    try:
        return head_from(text)
    except ValueError as error:
        raise UsageError(
            f"--head: {error}", next_step="Write it as `verify` prints it: 12:9f86d0…"
        ) from error


def _say_faults(faults: object, found: int) -> None:
    listed = list(faults)  # type: ignore[call-overload]
    for fault in listed:
        sys.stdout.write(f"FAULT {fault.where}: {fault.what}\n")
    if found > len(listed):
        sys.stdout.write(f"and {counted(found - len(listed), 'more fault')}\n")


@commands.command()
def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Check permissions, file systems, limits, destinations and logs: what is wrong, and how to fix it."""
    settings = reading(config)
    from dropslot.arrivals.upkeep.doctor import examine

    rows = [
        {"level": found.level, "about": found.about, "what": found.what, "remedy": found.remedy}
        for found in examine(settings)
    ]
    show(rows, ("level", "about"), Looks(as_json), below=("what", "remedy"))
    if any(row["level"] == "error" for row in rows):
        raise typer.Exit(1)
