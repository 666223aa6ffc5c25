"""`purge`: removes from done and failed what need not be kept."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import reading, require_keeping, started
from dropslot.core.asked import ago
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dropslot.arrivals.models import Arrival
    from dropslot.config import Config

commands = typer.Typer()
SAFE_AGE = timedelta(days=1)


@commands.command()
def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Finished longer ago than this, such as 30d.")
    ],
    config: ConfigPath = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Remove from failed what was dismissed or delivered later.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, even if the age is below a day.")] = False,
) -> None:
    """Remove from done what is proved to be at its destination.

    What was never delivered stays: ignored files, tag files of bags, what somebody put there later. With --failed,
    remove from failed what was dismissed, or was delivered later by another arrival. Exit status 1 if something was
    kept; it is named. An age below a day must be confirmed, or given with --yes.
    """
    before = datetime.now(UTC) - _age(older_than, sure=yes or dry_run)
    settings = reading(config) if dry_run else started(config)
    require_keeping()
    if failed:
        _purge_failed(settings, before, dry_run=dry_run)
    else:
        _purge_done(settings, before, f"dropslot purge --older-than {older_than}", dry_run=dry_run)


def _age(text: str, *, sure: bool) -> timedelta:
    age = ago(text)
    if age is None:
        raise UsageError(f"--older-than {escape(text)!r} is not an age", next_step="Write 30d, 12h or 90m")
    if sure or age >= SAFE_AGE:
        return age
    what = f"--older-than {escape(text)} also removes what ended within the last day"
    try:
        if typer.confirm(f"{what}. Do you want that?", default=False, err=True):
            return age
    except typer.Abort:
        sys.stderr.write("\n")  # nobody is there to be asked
    raise UsageError(what, where="Nothing was removed", next_step="Add --yes if you want that")


def _purge_done(config: Config, before: datetime, command: str, *, dry_run: bool) -> None:
    from dropslot.arrivals.intake.record import user_name
    from dropslot.arrivals.upkeep.latewrites import require_compared
    from dropslot.keeping.fixity.digest_reader import Reader
    from dropslot.keeping.removing.purge import Why, give_up_replaced, purgeable
    from dropslot.keeping.removing.purge import purge as remove

    if not dry_run:
        give_up_replaced()
    stays = 0
    acknowledged: set[str] = set()

    def purged(arrival: Arrival) -> int | None:
        nonlocal stays
        require_compared(config, arrival, dry_run=dry_run)
        done = remove(arrival, reader, Why(command, user_name(os.getuid())), dry_run=dry_run)
        if done is None:
            return None
        stays += len(done.stays)
        acknowledged.update(done.acknowledged)
        return done.size_bytes

    with Reader() as reader:
        kept = _each("done", purgeable(before), purged, dry_run=dry_run)
    for url in sorted(acknowledged):
        sys.stdout.write(f"{escape(url)} only acknowledges: what it has was not read.\n")
    if stays:
        verb = "would be kept" if dry_run else "kept"
        sys.stdout.write(
            f"{counted(stays, 'entry')} never delivered, so {verb} in done: nothing else has them.\n"
        )
    if stays and not dry_run:
        sys.stdout.write("`dropslot events --kind purged` names them; remove by hand what nobody needs.\n")
    if kept:
        raise typer.Exit(1)


def _purge_failed(config: Config, before: datetime, *, dry_run: bool) -> None:
    from dropslot.arrivals.intake.record import user_name
    from dropslot.keeping.fixity.digest_reader import Reader
    from dropslot.keeping.removing.purge_failed import purge_failed, purgeable_failed

    by = user_name(os.getuid())
    with Reader() as reader:

        def removed(arrival: Arrival) -> int | None:
            return purge_failed(config, arrival, reader, by, dry_run=dry_run)

        kept = _each("failed", purgeable_failed(before), removed, dry_run=dry_run)
    if kept:
        raise typer.Exit(1)


def _each(
    folder: str, rows: Iterable[Arrival], remove: Callable[[Arrival], int | None], *, dry_run: bool
) -> int:
    """Remove what may be removed, and count it; name what is kept. Returns how many are."""
    removed = size = kept = 0
    for arrival in rows:
        try:
            freed = remove(arrival)
        except DropslotError as error:
            kept += 1
            sys.stderr.write(f"dropslot: {arrival.id} ({arrival.name}) is kept. {error}\n")
        else:
            removed += freed is not None
            size += freed or 0
    verb = "would be removed" if dry_run else "removed"
    sys.stdout.write(
        f"{counted(removed, 'arrival')} {verb} from {folder} ({counted(size, 'byte')}), {kept} kept.\n"
    )
    return kept
