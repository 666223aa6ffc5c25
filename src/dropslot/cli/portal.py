"""`portal`, `adduser`, `removeuser`, `users`, `addtoken`: the portal alone, its accounts, and tokens for programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dropslot.cli.options import AsJson, ConfigPath, NoPager, Wide
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.output.tables import Looks, show
from dropslot.cli.startup import WITH_ACCOUNTS, started

if TYPE_CHECKING:
    from dropslot.config import Config

commands = typer.Typer()
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
Roles = typer.Option(
    "--role",
    metavar="R",
    help="sender, operator, auditor, recipient, study-runner or administrator; may be repeated.",
)


def _started(path: Path | None) -> Config:
    """With the tables of accounts; raises UsageError in a project without them."""
    settings = started(path, WITH_ACCOUNTS)
    from django.apps import apps

    if not apps.is_installed("dropslot.access"):
        raise UsageError(
            "This project does not have dropslot's accounts",
            next_step="Add 'dropslot.access' to INSTALLED_APPS and run `python manage.py migrate`",
        )
    return settings


def _account(name: str) -> Any:
    from dropslot.access import accounts

    user = accounts.find(name)
    if user is None:
        raise UsageError(f"There is no account {name}", next_step="`dropslot users` lists them")
    return user


@commands.command()
def portal(
    config: ConfigPath = None,
    in_service: Annotated[
        bool,
        typer.Option("--in-service", hidden=True, help="Started by `run`, which has the other processes."),
    ] = False,
) -> None:
    """Serve the portal alone, until Ctrl-C or SIGTERM. `run` serves it besides."""
    settings = _started(config)
    from dropslot.portal.serving import company, process, web_server
    from dropslot.running import daemon

    process.prove(settings)
    daemon.join_logs(settings)
    if not in_service:
        company.begin(settings)
    web_server.serve(settings)


@commands.command()
def adduser(
    name: Name,
    role: Annotated[list[str], Roles],
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
    email: Annotated[
        str, typer.Option("--email", metavar="ADDRESS", help="Where a link is sent if the password is lost.")
    ] = "",
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
    from dropslot.access import accounts, one_time_links

    password = accounts.read_password(password_file) if password_file else None
    wanted = accounts.Wanted(
        name, tuple(role), tuple(route or ()), tuple(folder or ()), tuple(study or ()), email
    )
    made = accounts.add(settings, wanted, password)
    for line in made.in_words():
        sys.stdout.write(f"{line}\n")
    if made.needs_password:
        sys.stdout.write(f"This link sets its password, once, within {one_time_links.HOURS} hours:\n")
        sys.stdout.write(f"  {one_time_links.link(made.user, settings)}\n")


@commands.command()
def removeuser(
    name: Name,
    config: ConfigPath = None,
    role: Annotated[list[str] | None, Roles] = None,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", metavar="K", help="With --role: only the role for this route."),
    ] = None,
) -> None:
    """Take roles away from an account, or deactivate it. Accounts are never deleted: the trail names them."""
    _started(config)
    from dropslot.access import accounts, withdrawing
    from dropslot.core.names import escape

    if route and not role:
        raise UsageError("--route needs --role", next_step="Name the role that is to be taken away")
    user = _account(name)
    if not role:
        withdrawing.deactivate(user)
        sys.stdout.write(
            f"The account {escape(name)} is deactivated. Nobody can sign in with it, and its tokens end.\n"
        )
        return
    wanted = {accounts.role_of(one).value for one in role}
    found = [
        grant
        for grant in user.dropslot_grants.order_by("id")
        if grant.role in wanted and (not route or grant.route in route)
    ]
    if not found:
        raise UsageError(f"The account {name} has no such role", next_step="`dropslot users` lists its roles")
    withdrawing.take_away(found)
    for grant in found:
        sys.stdout.write(f"The account {escape(name)} no longer has the role: {escape(str(grant))}\n")


@commands.command()
def users(
    config: ConfigPath = None, as_json: AsJson = False, wide: Wide = False, no_pager: NoPager = False
) -> None:
    """List the accounts of the portal and their roles."""
    _started(config)
    from dropslot.access import withdrawing

    show(
        withdrawing.listing(),
        ("name", "active", "roles", "last_signed_in_at"),
        Looks(as_json, wide, no_pager),
        empty="No accounts. Make one: dropslot adduser NAME --role administrator",
    )


@commands.command()
def addtoken(
    user: Annotated[str, typer.Argument(metavar="USER", help="The account that the program acts for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="S", help="read, upload, operate or reidentify; may be repeated."),
    ],
    days: Annotated[int, typer.Option("--days", metavar="N", help="How long it is valid.")],
    config: ConfigPath = None,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is for.")] = "",
) -> None:
    """Make a token for a program, and print the token alone. It cannot be shown again."""
    _started(config)
    from dropslot.access import tokens

    new = tokens.make(_account(user), scope, days, name)
    sys.stdout.write(f"{new.text}\n")
