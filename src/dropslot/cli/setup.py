"""Commands that make an installation: `init`, `schema`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dropslot.cli.faults import UsageError

commands = typer.Typer()


class Recipe(StrEnum):
    """The examples that `init` can write; those of later versions are known by name, and refused."""

    STUDY = "study"
    ALL = "all"
    RESULTS = "results"
    DICOM = "dicom"


_LATER = frozenset({Recipe.DICOM})


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it may exist.")],
    recipe: Annotated[Recipe, typer.Option(help="The example to begin with.")] = Recipe.STUDY,
) -> None:
    """Write DIR/config.yaml and manage.py, and make the folders with their modes."""
    if recipe in _LATER:
        raise UsageError(
            f"The recipe {recipe} comes with a later version; this one ships study and results",
            where="Nothing was written",
            next_step=f"dropslot init {folder} --recipe study",
        )
    from dropslot.cli.account import hand_over_folder
    from dropslot.cli.installation import make

    hand_over_folder(folder)

    typer.echo(make(folder, recipe).in_words())


@commands.command()
def schema() -> None:
    """Print the JSON Schema of config.yaml, for editors."""
    from dropslot.config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
