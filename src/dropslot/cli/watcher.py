"""The commands of the watcher: start_watcher, stop_watcher, watcher_status, start_observer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath, Test
from dropslot.cli.output.exit_status import FAILED
from dropslot.cli.startup import configured, for_tests
from dropslot.core.names import escape

if TYPE_CHECKING:
    from collections.abc import Callable

    from dropslot.arrivals.candidates import Held
    from dropslot.config import Config
    from dropslot.running.daemon import Status
    from dropslot.running.life import Life

Restart = Annotated[bool, typer.Option("--restart", help="Stop the running watcher first.")]
commands = typer.Typer()


@commands.command("start_watcher")
@commands.command("watcher_start", hidden=True)
def start_watcher(config: ConfigPath = None, restart: Restart = False, test: Test = False) -> None:
    """Start the watcher and its workers in the background."""
    settings = for_tests(configured(config), test)
    from dropslot.running import daemon

    if restart:
        _stop_if_running(settings)
    status = daemon.start(settings, _service(settings))
    if status.places.warning:
        sys.stderr.write(f"dropslot: {status.places.warning}\n")
    sys.stdout.write(f"The watcher is running: pid {status.pid}. Its log: {escape(str(status.places.out))}\n")


@commands.command("stop_watcher")
@commands.command("watcher_stop", hidden=True)
def stop_watcher(config: ConfigPath = None) -> None:
    """Stop the watcher in the background. Exit status 1 if none is running."""
    settings = configured(config)
    from dropslot.running import daemon

    try:
        pid = daemon.stop(settings)
    except daemon.NotRunning as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(FAILED) from error
    sys.stdout.write(f"The watcher has stopped: pid {pid}.\n")


@commands.command("watcher_status")
def watcher_status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say whether the watcher is running. Exit status 1 if it is not."""
    settings = configured(config)
    from dropslot.running import daemon

    status = daemon.status(settings)
    inboxes = _inboxes(settings)
    if as_json:
        shown = None if inboxes is None else [one.as_json() for one in inboxes]
        words = json.dumps(daemon.as_json(settings, status) | {"inboxes": shown})
    else:
        words = _in_words(settings, status, inboxes)
    sys.stdout.write(f"{words}\n")
    if not status.running:
        raise typer.Exit(FAILED)


@commands.command("start_observer")
def start_observer(config: ConfigPath = None, test: Test = False) -> None:
    """Run the watcher and its workers in the foreground, until Ctrl-C or SIGTERM."""
    settings = for_tests(configured(config), test)
    from dropslot.running import banner, daemon

    already = [one for one in _inboxes(settings) or () if one.holder]
    banner.show(settings, [f"Already watched: {escape(one.inbox)}: {one.in_words()}" for one in already])
    daemon.foreground(settings, _service(settings))


def _service(config: Config) -> Callable[[Life], None]:
    def serve(life: Life) -> None:
        # Only here: a forked process must not share a database connection.
        from dropslot.arrivals.upkeep.database import prepare
        from dropslot.arrivals.workers import supervised_processes

        prepare()
        supervised_processes.serve(config, life)

    return serve


def _stop_if_running(config: Config) -> None:
    from dropslot.running import daemon

    try:
        daemon.stop(config)
    except daemon.NotRunning:
        return  # there is no running one to replace


def _inboxes(config: Config) -> list[Held] | None:
    """Who watches each inbox, on this machine or on others; None: the database does not say it now."""
    from django.db import DatabaseError

    from dropslot.arrivals import candidates
    from dropslot.arrivals.upkeep import database

    if not database.is_there():
        return None
    try:
        database.prepare_to_read()
        return candidates.inboxes(config)
    except (database.DatabaseUnready, DatabaseError):
        return None


def _in_words(config: Config, status: Status, inboxes: list[Held] | None) -> str:
    from dropslot.config import sections

    served = [f"  {what}: {address}" for what, address in sections.addresses(config)]
    watched = [f"  {one.route}: {escape(one.inbox)}: {one.in_words()}" for one in inboxes or ()]
    if inboxes is None:
        watched = [f"  {route.key}: {escape(route.inbox)}" for route in config.routes.values()]
        watched += ["  Who watches them is not known: the database does not answer."]
    if status.since is None:
        first = f"The watcher is not running (pid file: {escape(str(status.places.pid))})."
        return "\n".join([first, *(watched if any(one.holder for one in inboxes or ()) else ())])
    since = status.since.astimezone(config.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    return "\n".join([f"The watcher is running: pid {status.pid}, since {since}.", *watched, *served])
