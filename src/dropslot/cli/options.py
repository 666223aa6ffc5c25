"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def at_least_one(limit: int | None) -> int | None:
    """For an option that counts. Raises BadParameter."""
    if limit is not None and limit < 1:
        raise typer.BadParameter("expected 1 or more")
    return limit


ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="config.yaml; default: $DROPSLOT_CONFIG, then ./config.yaml"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
Wide = Annotated[bool, typer.Option("--wide", help="All columns, on lines of any length.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", "-n", metavar="N", help="Only the newest N.", callback=at_least_one),
]
NoPager = Annotated[bool, typer.Option("--no-pager", help="Print everything at once, without $PAGER.")]
TEST_NAMES = "test*"
Test = Annotated[
    bool, typer.Option("--test", help=f"Names that match '{TEST_NAMES}' are logged but not delivered.")
]
