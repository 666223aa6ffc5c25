"""`sent`: what became of each file."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, Limit, NoPager, Wide
from dropslot.cli.output.narrowing import moment

if TYPE_CHECKING:
    from dropslot.sender.engine.sender import Sender
    from dropslot.sender.file_states import SentFile

commands = typer.Typer()
_EMPTY = "Nothing was sent from this computer yet."
_OVERDUE_DAYS = 2


@commands.command()
def sent(
    watch: Annotated[
        bool, typer.Option("--watch", help="Then wait until each file has its receipt, and show changes.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="With a state since: 2026-03-01 (UTC), or 7d ago.")
    ] = "",
    as_json: AsJson = False,
    wide: Wide = False,
    limit: Limit = None,
    no_pager: NoPager = False,
) -> None:
    """List what was sent, and what became of each file.

    First it fetches receipts that are missing, if it can sign in without a
    question. The states: uploading (on its way), uploaded (whole in the
    server's inbox), delivered, unchanged (the server had this content
    already), refused (with the reason).
    """
    gc.enable()
    at = moment(since)
    from dropslot.cli.output.tables import Looks, show
    from dropslot.cli.sending.terminal_prompts import Silent
    from dropslot.sender.engine.sender import Sender
    from dropslot.sender.ledger.sent_rows import sent as listing

    sender = Sender(Silent())
    try:
        status = _fetch(sender, 0)
        rows = listing(sender.ledger, at.isoformat().replace("+00:00", "Z") if at else "")
        looks = Looks(as_json, wide, no_pager or watch)
        newest = rows[-(limit or 0) :]
        show(map(_row, newest), ("at", "state", "file", "size_bytes"), looks, below=("reason",), empty=_EMPTY)
        _name_overdue(rows)
        if watch and not status:
            _show_changes(sender, as_json=as_json)
            status = _fetch(sender, math.inf)
    finally:
        sender.close()
    raise typer.Exit(status)


def _fetch(sender: Sender, wait_seconds: float) -> int:
    """Fetch what receipts there are. That nobody is signed in is no failure of a listing, and is said."""
    from dropslot.cli.output.exit_status import explain
    from dropslot.core.errors import DestinationUnready, DropslotError

    status = 0
    for access in dict.fromkeys(bag.access for bag in sender.bags.waited_for()):
        try:
            sender.follow(access, wait_seconds)
        except DestinationUnready as error:
            sys.stderr.write(f"dropslot: The receipts at {access.to} were not fetched. {error.what}.\n")
            status = int(wait_seconds > 0)
        except DropslotError as error:
            status = explain(error)
    return status


def _name_overdue(rows: Sequence[SentFile]) -> None:
    """Files that have waited for their receipt for days wait for a person."""
    from dropslot.core.showing.quantities import counted
    from dropslot.sender.file_states import UPLOADED, stamp

    before = stamp(datetime.now(UTC) - timedelta(days=_OVERDUE_DAYS))
    if count := sum(row.state == UPLOADED and row.at < before for row in rows):
        sys.stderr.write(
            f"dropslot: {counted(count, 'file')} had no receipt for {_OVERDUE_DAYS} days. Ask the person who runs the"
            " server what became of them. If they are not there, send them again with --all.\n"
        )


def _show_changes(sender: Sender, *, as_json: bool) -> None:
    from dropslot.cli.sending.telling import Changes, Json

    sys.stdout.flush()
    sender.listener = Json() if as_json else Changes()


def _row(file: Any) -> dict[str, Any]:
    from dropslot.cli.sending.telling import KEYS

    row = file._asdict()
    return {key: row[key] for key in KEYS}
