"""`reidentify`: who a de-identified patient is."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.narrowing import RouteKey, one_of
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import started

commands = typer.Typer()
_COLUMNS = ("value", "route", "kind", "original", "shift_days")


@commands.command()
def reidentify(
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="VALUE", help="A PatientID, AccessionNumber or UID as it is in the delivered files."
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")] = "",
    config: ConfigPath = None,
    route: RouteKey = "",
    as_json: AsJson = False,
) -> None:
    """Show the originals of de-identified values. Each use is an event, with who, why, and which value.

    `shift_days`: by how many days the dates of a patient were moved. Needs --reason.
    """
    settings = started(config)
    one_of("--route", route, settings.routes)
    from dropslot.arrivals.intake.record import user_name
    from dropslot.dicom.deidentifying.reidentifying import reidentify as shown

    # The owner of this process, not LOGNAME, which anybody can set.
    found = shown(settings, values, reason, user_name(os.getuid()), [route] if route else None)
    show([each._asdict() for each in found], _COLUMNS, Looks(as_json), empty="Nothing was found.")
