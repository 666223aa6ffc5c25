"""`run` and `drain`: the product at work."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath, Test
from dropslot.cli.startup import for_tests, started
from dropslot.core.showing.quantities import counted

if TYPE_CHECKING:
    from dropslot.arrivals.workers.drain import Drained
    from dropslot.running.life import Life

commands = typer.Typer()


@commands.command()
def run(config: ConfigPath = None, test: Test = False) -> None:
    """Watch the inboxes and deliver, in the foreground, until Ctrl-C or SIGTERM."""
    settings = for_tests(started(config), test)
    from dropslot.arrivals.workers import supervised_processes
    from dropslot.running import banner, daemon

    def serve(life: Life) -> None:
        banner.show(settings)  # here no other watcher runs
        supervised_processes.serve(settings, life)

    daemon.foreground(settings, serve)


@commands.command()
def drain(
    config: ConfigPath = None,
    now: Annotated[
        bool, typer.Option("--now", help="Trust final names: do not wait for entries to be quiet.")
    ] = False,
    test: Test = False,
    as_json: AsJson = False,
) -> None:
    """Deliver what is complete, then exit: for cron, scripts and tests.

    Exit status 1 if something failed, is to be retried, or cannot be taken; it is named. Entries that their senders
    have not finished are named, too, but are no failure; nor are arrivals that are held until somebody releases them,
    or that another drain or the service works on.
    """
    settings = for_tests(started(config), test)
    from dropslot.arrivals.workers.drain import drain as run_drain
    from dropslot.running import log_sinks

    log_sinks.configure(settings, foreground=True, terminal="stderr")
    startup = _seconds_since_start()
    result = run_drain(settings, now=now)
    if as_json:
        _print_json(result, startup)
    else:
        _print(result)
    if _has_failed(result):
        raise typer.Exit(1)


def _has_failed(result: Drained) -> bool:
    from dropslot.arrivals.intake.waiting_entries import waits_for_sender

    left = [row for row in result.left if not waits_for_sender(row) and row.held_at is None]
    return bool(result.failed or left or result.unrecorded or result.unlisted or result.after_failed)


def _seconds_since_start() -> float:
    """Since this process was made, interpreter and imports included; to 10 ms."""
    with open("/proc/self/stat", encoding="ascii") as stream:
        started_ticks = int(stream.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK")


def _print_json(result: Drained, startup: float) -> None:
    shown = {
        "done": result.done,
        "failed": [row.id for row in result.failed],
        "left": [row.id for row in result.left],
        "elsewhere": [row.id for row in result.elsewhere],
        "after_failed": [call.arrival_id for call in result.after_failed],
        "ignored": result.ignored,
        "unrecorded": result.unrecorded,
        "unlisted": result.unlisted,
        "untaken": [entry._asdict() for entry in result.untaken],
        "startup_seconds": round(startup, 3),
        "work_seconds": round(result.work_seconds, 4),
    }
    sys.stdout.write(json.dumps(shown) + "\n")


def _print(result: Drained) -> None:
    from dropslot.arrivals.outbox_readers.after import in_words

    sys.stdout.write(
        f"{result.done} delivered, {len(result.failed)} failed, {len(result.left)} left for later.\n"
    )
    if result.ignored:
        ignored = counted(result.ignored, "entry")
        sys.stdout.write(f"Ignored: {ignored} such as .DS_Store; the receipts name them.\n")
    for row in result.failed:
        sys.stdout.write(f"Failed: {row.name} ({row.id}): {'; '.join(row.reason)}\n")
    for row in result.left:
        if row.held_at is not None:
            sys.stdout.write(f"Held: {row.name} ({row.id}): {'; '.join(row.reason)}\n")
            continue
        why = "no worker has taken it yet" if row.state == "ready" else "; ".join(row.reason)
        sys.stdout.write(f"Left: {row.name} ({row.id}), {row.state}: {why}\n")
    for entry in result.untaken:
        sys.stdout.write(f"Left in the inbox of {entry.route}: {entry.name}: {entry.reason}.\n")
    for call in result.after_failed:
        row = call.arrival
        sys.stdout.write(
            f"After {row.name} ({row.id}): {in_words(call)}. `dropslot retry {row.id}` calls it at once.\n"
        )
    if result.elsewhere:
        sys.stdout.write(
            f"{counted(len(result.elsewhere), 'more arrival')}, which another drain or the service works on.\n"
        )
    for line in result.unlisted:
        sys.stdout.write(
            f"{line}. Nothing was taken from it; `dropslot doctor` says what is wrong with the folders.\n"
        )
    if result.unrecorded:
        sys.stdout.write(
            f"Taken but not recorded: {counted(result.unrecorded, 'entry')}; the log says why. They wait in"
            " processing, and the next run retries.\n"
        )
