"""`send`: sends what is new."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson
from dropslot.cli.output.narrowing import moment

if TYPE_CHECKING:
    from dropslot.cli.sending.telling import Told
    from dropslot.sender.credentials import Credentials

commands = typer.Typer()


@commands.command()
def send(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PRESET | PATH]...",
            help="A preset of settings.yaml, or files and folders.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="sftp://HOST/INBOX or https://PORTAL.")] = "",
    study: Annotated[
        str, typer.Option("--study", metavar="STUDY", help="The study that the files belong to.")
    ] = "",
    subfolder: Annotated[
        list[str] | None,
        typer.Option(
            "--subfolder",
            metavar="NAME",
            help="Where in the arrival paths go; of a preset: only these.",
            show_default=False,
        ),
    ] = None,
    location: Annotated[
        str, typer.Option("--location", metavar="NAME", help="Where this computer stands.")
    ] = "",
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Names that are not sent, as 'practice*'.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Only files changed since: 2026-03-01, or 7d ago.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what was sent before.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also what the server refused before.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    limit: Annotated[
        str, typer.Option("--limit", metavar="RATE", help="No more than 2MB/s, or by time 08:00-18:00=2MB/s.")
    ] = "",
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait",
            help="Wait for the receipt until it is there, or not at all; default: 15 s.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Your account at the server.")] = "",
    key: Annotated[str, typer.Option("--key", metavar="FILE", help="A private key.")] = "",
    known_hosts: Annotated[
        str, typer.Option("--known-hosts", metavar="FILE", help="Trusted host keys, as of ssh.")
    ] = "",
    trust: Annotated[
        str, typer.Option("--trust", metavar="SHA256:...", help="Trust the host key with this fingerprint.")
    ] = "",
    token_file: Annotated[
        str, typer.Option("--token-file", metavar="FILE", help="A token for https, in a file.")
    ] = "",
    receipts: Annotated[
        str, typer.Option("--receipts", metavar="PATH", help="Folder of receipts at the server.")
    ] = "",
    route: Annotated[
        str, typer.Option("--route", metavar="NAME", help="The portal's route, for https.")
    ] = "",
    remember: Annotated[
        bool, typer.Option("--remember", help="Keep the password in this system's keyring.")
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="Another settings.yaml.", show_default=False),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="FOLDER",
            help="Settings and ledger are there; default: $DROPSLOT_SENDER_HOME.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: send by itself whenever a recording is done.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option(
            "--settle", metavar="SECONDS", min=0, help="With --watch: unchanged for so long is done."
        ),
    ] = 60,
    install_service: Annotated[
        bool, typer.Option("--install-service", help="Let this computer run --watch from each sign-in on.")
    ] = False,
    uninstall_service: Annotated[
        bool, typer.Option("--uninstall-service", help="Stop and remove that service.")
    ] = False,
    import_dittohead: Annotated[
        Path | None,
        typer.Option(
            "--import-dittohead",
            metavar="presets.yaml",
            help="Take over dittohead's presets and what it sent.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send what is new, and wait a moment for the receipt.

    Name a preset of settings.yaml, or paths with --to and --study. Without
    either, it continues what was interrupted, or sends the only preset.

    A file is new if its content was not sent before. What is open or still
    growing is left for next time, and named. An interrupted send continues
    where it was. `dropslot sent` shows what became of each file.
    """
    from dropslot.cli.sending import preset_options
    from dropslot.cli.sending.send_presets import WAIT_SECONDS, How, send_all
    from dropslot.sender.connecting import Access
    from dropslot.sender.engine.sender import Sender
    from dropslot.sender.home_folder import VARIABLE
    from dropslot.sender.new_files.preset_scan import Wish

    if home:
        os.environ[VARIABLE] = str(home)
    access = Access(to, user, key, known_hosts, trust, token_file, receipts, route)
    options = preset_options.Options(access, study, tuple(subfolder or ()), location, limit, settings)
    of_preset = frozenset(subfolder) if subfolder and not (to and study) else None
    wish = Wish(of_preset, tuple(exclude or ()), everything, again, moment(since))
    if import_dittohead or uninstall_service or install_service or watch:
        from dropslot.cli.sending.unattended import Unattended

        alone = Unattended(tuple(what or ()), options, wish, settle)
        if import_dittohead:
            alone.import_dittohead(import_dittohead)
        elif uninstall_service:
            alone.uninstall_service()
        elif install_service:
            alone.install_service()
        else:
            alone.watch(as_json=as_json)
        return
    presets = preset_options.presets(what or (), options)
    seconds = {None: WAIT_SECONDS, True: math.inf, False: 0.0}[wait]
    told = _told(as_json=as_json)
    sender = Sender(_credentials(remember=remember), told)
    try:
        status = send_all(sender, presets, How(wish, seconds, dry_run, as_json, options.rate), told)
    finally:
        told.close()
        sender.close()
    raise typer.Exit(status)


def _told(*, as_json: bool) -> Told:
    from dropslot.cli.sending.telling import Json, Lines

    if as_json:
        return Json()
    if sys.stdout.isatty():
        from dropslot.cli.sending.bars import Bars

        return Bars()
    return Lines()


def _credentials(*, remember: bool) -> Credentials:
    from dropslot.cli.sending.terminal_prompts import Silent, Terminal

    return Terminal(remember=remember) if sys.stdin.isatty() and sys.stderr.isatty() else Silent()
