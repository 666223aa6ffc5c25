"""Does something with several arrivals, one after the other; and the reason that somebody has to give."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from dropslot.cli.output.exit_status import UsageError
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.arrivals.models import Arrival

LONGEST_REASON = 1000


def in_turn(found: list[Arrival], do: Callable[[Arrival], str]) -> None:
    """Do it for each arrival and print it. If one cannot be done, its reason is printed and the status is 1."""
    failed = False
    for arrival in found:
        try:
            sys.stdout.write(f"{arrival.id} {do(arrival)}\n")
        except DropslotError as error:
            if len(found) == 1:
                raise
            failed = True
            sys.stderr.write(f"dropslot: {error}\n")
    if failed:
        raise typer.Exit(1)


def given_reason(text: str) -> str:
    """What was given as --reason, as it is recorded. Raises UsageError if that is nothing, or a book."""
    if not text.strip() or len(text) > LONGEST_REASON:
        raise UsageError(
            f"--reason needs between 1 and {LONGEST_REASON} characters",
            where="Nothing was changed",
            next_step="Say why: it is recorded in the audit trail",
        )
    return escape(text.strip())
