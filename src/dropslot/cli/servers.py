"""`trust_host`: needed before the first delivery to a server."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import configured
from dropslot.core.addressing import addresses
from dropslot.core.concealing import conceal_value
from dropslot.core.names import escape

commands = typer.Typer()


@commands.command()
def trust_host(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="The server, as in `to` or `log`: sftp://USER@HOST/")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="The fingerprint has been compared; do not ask.")
    ] = False,
    known_hosts: Annotated[
        Path | None,
        typer.Option(
            "--known-hosts", metavar="FILE", help="Default: the file that config.yaml names for this server."
        ),
    ] = None,
    config: ConfigPath = None,
) -> None:
    """Show the fingerprint of a server's host key, and trust the key once you have compared it.

    A changed key is never accepted.
    """
    try:
        address = addresses.parse(url)
    except ValueError as error:
        raise UsageError(
            f"{escape(conceal_value(url))}: {error}",
            next_step="dropslot trust_host sftp://edc@edc.example.org/",
        ) from None
    if known_hosts is None:
        configured(config)
    from dropslot.destinations.sftp import from_config, logins
    from dropslot.sftp import hostkeys, trust

    if known_hosts is None:
        account = from_config.account_for(address.url)
    else:
        account = replace(logins.account_of(address.url), known_hosts=str(known_hosts))
    key = trust.shown_key(account)
    sys.stdout.write(f"{hostkeys.pattern(account)} {hostkeys.fingerprint(key)}\n")
    if trust.is_trusted(account, key):
        sys.stdout.write(f"It is already trusted, by {escape(str(account.hosts_file))}.\n")
        return
    if not yes and not sys.stdin.isatty():
        sys.stdout.write(
            "Nothing was changed. Compare it with the fingerprint that the server's administrator gives you, then add"
            " --yes.\n"
        )
        raise typer.Exit(1)
    if not yes and not typer.confirm(
        "Is this the fingerprint that the server's administrator gives you?", default=False
    ):
        sys.stdout.write("Nothing was changed.\n")
        raise typer.Exit(1)
    sys.stdout.write(f"Trusted from now on, by {escape(str(logins.accept(account, key)))}.\n")
