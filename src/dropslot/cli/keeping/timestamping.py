"""`timestamp`: has the head of the trail stamped by the authority of config.yaml; and what `verify` says of stamps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import reading, started
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.config import Config

commands = typer.Typer()


@commands.command()
def timestamp(
    config: ConfigPath = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Ask for nothing; write the newest stamp into this folder, for a check with openssl.",
        ),
    ] = None,
) -> None:
    """Have the head of the audit trail stamped with the time by the authority of config.yaml (RFC 3161)."""
    if out is not None:
        reading(config)
        _write(out)
        return
    settings = started(config)
    from dropslot.timestamps.section import authority_of
    from dropslot.timestamps.stamping import stamp

    if authority_of(settings) is None:
        raise UsageError(
            "config.yaml names no time-stamping authority", next_step="Add `timestamp: https://tsa.example`"
        )
    made = stamp(settings)
    if made is None:
        sys.stdout.write("Nothing has happened since the last stamp.\n")
    else:
        sys.stdout.write(f"Head {made.head}\nStamped {made.at:%Y-%m-%d %H:%M:%S} UTC by {made.signer}.\n")


def _write(folder: Path) -> None:
    from dropslot.timestamps import recorded

    event = recorded.stamps().order_by("-seq").first()
    if event is None:
        raise UsageError("The trail has no time stamp yet", next_step="`dropslot timestamp` asks for one")
    found = recorded.read(event)
    text, answer = folder / f"{found.head.seq}.head", folder / f"{found.head.seq}.tsr"
    text.write_text(str(found.head), encoding="ascii")
    answer.write_bytes(found.response)
    sys.stdout.write(
        f"{text} and {answer.name}\nCheck them: openssl ts -verify -data {text} -in {answer} -CAfile tsa-root.pem\n"
    )


def say_stamps(config: Config) -> bool:
    """Verify the time stamps of the trail and print what was found, if it has any; whether all are good."""
    from dropslot.timestamps.verify_stamps import check

    report = check(config)
    for fault in report.faults:
        sys.stdout.write(f"FAULT {fault.where}: {fault.what}\n")
    if report.checked:
        verdict = "OK" if report.ok else counted(report.found, "fault")
        proven = (
            f" All up to event {report.seq} existed at {report.at:%Y-%m-%d %H:%M:%S} UTC."
            if report.at
            else ""
        )
        sys.stdout.write(f"Time stamps: {report.checked}: {verdict}.{proven}\n")
    return report.ok
