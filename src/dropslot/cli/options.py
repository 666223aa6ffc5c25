"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="config.yaml; default: $DROPSLOT_CONFIG, then ./config.yaml"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Wide = Annotated[bool, typer.Option("--wide", help="All columns, however long the lines.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="Only the newest N.")]
NoPager = Annotated[
    bool, typer.Option("--no-pager", help="Do not use $PAGER, though the terminal is too small.")
]
