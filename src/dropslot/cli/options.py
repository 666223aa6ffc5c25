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
