"""Commands that make an installation: `init`, `schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.output.exit_status import UsageError
from dropslot.core.names import escape

if TYPE_CHECKING:
    from pydantic import BaseModel

commands = typer.Typer()


RECIPES = ("study", "results", "dicom", "all")


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it may exist.")],
    recipe: Annotated[
        str, typer.Option(metavar="|".join(RECIPES), help="The example to start from.")
    ] = "study",
) -> None:
    """Make an installation: DIR/config.yaml, manage.py, and the folders with their modes."""
    if recipe not in RECIPES:
        raise UsageError(
            f"There is no recipe {escape(recipe)!r}",
            where="Nothing was written",
            next_step=f"Use one of {', '.join(RECIPES)}",
        )
    from dropslot.cli.installing.installation import make
    from dropslot.cli.run_as_owner import hand_over_folder

    hand_over_folder(folder)

    typer.echo(make(folder, recipe).in_words())


@commands.command()
def schema(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="A config.yaml: with the options of its own `destinations`.",
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of config.yaml, for editors."""
    from dropslot.config.schema import json_schema

    typer.echo(json.dumps(json_schema(_options(config) if config else {}), indent=2))


def _options(config: Path) -> dict[str, type[BaseModel]]:
    from dropslot.config import load
    from dropslot.destinations import kind_named

    kinds = {scheme: kind_named(dotted) for scheme, dotted in load(config).destinations.items()}
    return {scheme: kind.options for scheme, kind in kinds.items() if kind.options}
