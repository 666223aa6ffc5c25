"""`health`: what is late."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.output.exit_status import FAILED, UsageError
from dropslot.cli.startup import configured
from dropslot.core.names import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dropslot.arrivals.machines import Machine
    from dropslot.arrivals.registry import Late
    from dropslot.arrivals.upkeep.health import Health

commands = typer.Typer()


@commands.command()
def health(
    config: ConfigPath = None,
    as_json: AsJson = False,
    forget: Annotated[
        str,
        typer.Option("--forget", metavar="ID", help="Forget a tree of processes that is gone for good."),
    ] = "",
) -> None:
    """Say what is late, and by how much: watcher, database, queue, failed arrivals, logs, disks, processes of all
    machines. Exit status 1 if something is late."""
    settings = configured(config)
    if forget:
        _forget(forget)
        return
    from dropslot.arrivals.upkeep.health import examine

    found = examine(settings)
    lines = [json.dumps(found.as_json())] if as_json else _in_words(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    if not found.is_well:
        raise typer.Exit(FAILED)


def _forget(typed: str) -> None:
    from dropslot.arrivals import machines

    if (gone := machines.forget(typed)) is None:
        raise UsageError(
            f"No tree of processes with the id {escape(typed)} has vanished",
            next_step="`dropslot health` names those that have",
        )
    sys.stdout.write(f"Forgotten: {gone.title}.\n")


def _in_words(found: Health) -> Iterator[str]:
    from dropslot.core.showing.amounts import lasting

    if found.is_well:
        yield "Nothing is late."
    for one in found.late:
        yield f"LATE {one.about}: {one.what}{_by(found, one)}. Next: {one.remedy}"
    if found.oldest:
        age = lasting(max(0.0, (found.at - found.oldest.dropped_at).total_seconds()))
        yield f"The arrival that waits longest: {found.oldest.id}, route {found.oldest.route}, for {age}."
    shown: set[str] = set()  # what runs on a machine is said once, though it has several trees
    for machine in found.machines:
        yield _processes(machine, machine.host in shown)
        shown |= {machine.host} if machine.is_alive else set()


def _by(found: Health, one: Late) -> str:
    from dropslot.core.showing.amounts import lasting

    seconds = found.late_seconds(one)
    return "" if seconds is None or seconds < 60 else f" (late by {lasting(seconds)})"


def _processes(one: Machine, is_shown: bool) -> str:
    if not one.is_alive or is_shown:
        return f"{'Alive:' if one.is_alive else 'VANISHED'} {one.title}"
    alive = [str(process["name"]) for process in one.processes if process["pid"]]
    return f"Alive: {one.title}; on this machine: {escape(', '.join(alive))}"
