"""`retry`, `verify`, `purge`, `doctor`: keeping an installation well."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.faults import UsageError
from dropslot.cli.listings import show
from dropslot.cli.narrowing import ago
from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.starting import reading, started
from dropslot.core.errors import DropslotError

if TYPE_CHECKING:
    from dropslot.audit.chain import Head

commands = typer.Typer()


@commands.command()
def retry(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Arrivals; the start of an id will do.")],
    config: ConfigPath = None,
) -> None:
    """Run failed arrivals again. The service does it, or the next `drain`."""
    started(config)
    from dropslot.arrivals import queries
    from dropslot.arrivals.retry import retry as run_again

    failed = False
    for arrival in queries.find_all(ids):
        try:
            run_again(arrival)
        except DropslotError as error:
            failed = True
            sys.stderr.write(f"dropslot: {error}\n")
        else:
            sys.stdout.write(f"{arrival.id} ({arrival.name}) is tried again.\n")
    if failed:
        raise typer.Exit(1)


@commands.command()
def verify(
    config: ConfigPath = None,
    fixity: Annotated[
        bool, typer.Option("--fixity", help="Also read every stored file and compare its SHA-256.")
    ] = False,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="SEQ:HASH", help="A head of the chain that was kept elsewhere."),
    ] = None,
) -> None:
    """Verify the audit chain, and with --fixity every stored file."""
    reading(config)
    from dropslot.arrivals.fixity import check_all
    from dropslot.audit import keys, receipts
    from dropslot.audit import verify as audit

    heads = [_head(text) for text in head or []]
    chain = audit.chain(
        heads=heads, signers=keys.allowed_signers(receipts.keys_folder() / keys.ALLOWED_SIGNERS)
    )
    _say_faults(chain.faults, chain.found)
    sys.stdout.write(
        f"Chain: {chain.checked} events, {chain.receipts} receipts, {chain.signatures} signatures: "
        f"{'well' if chain.ok else f'{chain.found} faults'}. Head {chain.head.seq}:{chain.head.hash}\n"
    )
    well = chain.ok
    if fixity:
        files = check_all()
        _say_faults(files.faults, files.found)
        sys.stdout.write(
            f"Fixity: {files.checked} stored files, {files.size_bytes} bytes read: "
            f"{'well' if files.ok else f'{files.found} faults'}.\n"
        )
        well = well and files.ok
    if not well:
        raise typer.Exit(1)


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
        sys.stdout.write(f"and {found - len(listed)} more faults\n")


@commands.command()
def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Finished longer ago than this, such as 30d.")
    ],
    config: ConfigPath = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
) -> None:
    """Empty done, only of what is proved to be at its destination.

    What was never delivered (ignored files, tag files of bags, what somebody put there later) stays.
    """
    (reading if dry_run else started)(config)
    from dropslot.arrivals.purge import purge as remove
    from dropslot.arrivals.purge import purgeable

    age = ago(older_than)
    if age is None:
        raise UsageError(f"--older-than {older_than!r} is no age", next_step="Write 30d, 12h or 90m")
    removed = size = kept = stays = 0
    for arrival in purgeable(datetime.now(UTC) - age):
        try:
            purged = remove(arrival, dry_run=dry_run)
            size += purged.size_bytes
            stays += len(purged.stays)
            removed += 1
        except DropslotError as error:
            kept += 1
            sys.stderr.write(f"dropslot: {arrival.id} ({arrival.name}) is kept. {error}\n")
    verb = "would be removed" if dry_run else "removed"
    sys.stdout.write(f"{removed} arrivals {verb} from done ({size} bytes), {kept} kept.\n")
    if stays:
        verb = "would stay" if dry_run else "stay"
        sys.stdout.write(
            f"{stays} entries that were never delivered {verb} in done: nothing else has them.\n"
        )
    if stays and not dry_run:
        sys.stdout.write("`dropslot events --kind purged` names them; remove by hand what nobody needs.\n")
    if kept:
        raise typer.Exit(1)


@commands.command()
def doctor(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Look at permissions, file systems, limits, destinations and logs: what is wrong, and how to mend it."""
    settings = reading(config)
    from dropslot.arrivals.doctor import examine

    rows = [
        {"level": found.level, "about": found.about, "what": found.what, "remedy": found.remedy}
        for found in examine(settings)
    ]
    show(rows, ("level", "about", "what", "remedy"), as_json=as_json)
    if any(row["level"] == "error" for row in rows):
        raise typer.Exit(1)
