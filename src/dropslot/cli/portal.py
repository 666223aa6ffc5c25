"""`portal`, `adduser`, `addtoken`: the portal alone, its accounts, and tokens for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.startup import started

if TYPE_CHECKING:
    from dropslot.config import Config

commands = typer.Typer()
_SETTINGS = "dropslot.portal_settings"


def _started(path: Path | None) -> Config:
    """With the tables of accounts; raises UsageError if the portal's packages are missing."""
    return started(path, _SETTINGS)


@commands.command()
def portal(config: ConfigPath = None) -> None:
    """Serve the portal alone, until Ctrl-C or SIGTERM. `run` serves it besides."""
    settings = _started(config)
    from dropslot.portal import process, serving
    from dropslot.running import daemon

    process.prove(settings)
    daemon.join_logs(settings)
    serving.serve(settings)


@commands.command()
def adduser(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")],
    role: Annotated[
        list[str],
        typer.Option(
            "--role",
            metavar="R",
            help="sender, operator, auditor, recipient, study-runner or administrator; may be repeated.",
        ),
    ],
    config: ConfigPath = None,
    route: Annotated[
        list[str] | None, typer.Option("--route", metavar="K", help="Only for this route; default: all.")
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option("--folder", metavar="F", help="Recipient: the folder below the destination."),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(
            "--study", metavar="S", help="Study runner: the study, or FIELD=VALUE of another field."
        ),
    ] = None,
    email: Annotated[str, typer.Option("--email", metavar="ADDRESS", help="For a forgotten password.")] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            metavar="F",
            help="Its first line is the password; - reads it from standard input.",
        ),
    ] = None,
) -> None:
    """Make an account, or give an existing one more roles. Without a password it prints a link that sets one."""
    settings = _started(config)
    from dropslot.access import accounts

    password = accounts.read_password(password_file) if password_file else None
    wanted = accounts.Wanted(
        name, tuple(role), tuple(route or ()), tuple(folder or ()), tuple(study or ()), email
    )
    made = accounts.add(settings, wanted, password)
    for line in made.in_words():
        sys.stdout.write(f"{line}\n")
