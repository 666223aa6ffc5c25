"""`notify --test`: whether messages arrive."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import configured

if TYPE_CHECKING:
    from dropslot.notify.channels.target import Target

commands = typer.Typer()


@commands.command("notify")
def notify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[TARGET]", help="Only this one, as mailto:ops@lab.example. Default: all of config.yaml."
        ),
    ] = "",
    config: ConfigPath = None,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to each target.")] = False,
) -> None:
    """Send a test message to each target of notifications, and say what came of it.

    Exit status 1 if one was not sent; it is named.
    """
    if not test:
        raise UsageError(
            "notify needs --test", next_step="dropslot notify --test sends a message to each target"
        )
    settings = configured(config)
    from dropslot.notify import trying
    from dropslot.notify.section import notify_of

    targets = [_target(target)] if target else list(trying.places(settings))
    if not targets:
        raise UsageError(
            "config.yaml names no target",
            next_step="Give `notify` one, or name one: dropslot notify --test mailto:ops@lab.example",
        )
    failed = 0
    for one, fault in trying.tested(settings, targets, notify_of(settings).allow_private):
        failed += bool(fault)
        fault = fault.removeprefix(str(one)).lstrip(": ")  # many begin with it
        sys.stdout.write(f"{one}: {fault or 'sent'}\n")
        sys.stdout.flush()
    if failed:
        raise typer.Exit(1)


def _target(text: str) -> Target:
    from dropslot.notify.channels.target import target_of

    try:
        return target_of(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a target: {error}") from error
