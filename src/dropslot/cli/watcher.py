"""The commands of the watcher: start_watcher, stop_watcher, watcher_status, start_observer."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath, Test
from dropslot.cli.output.failures import FAILED
from dropslot.cli.startup import configured, for_tests
from dropslot.core.names import escape

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """Stop the watcher in the background. Exit status 1: none is running."""
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
    """Say whether the watcher is running. Exit status 1: it is not."""
    settings = configured(config)
    from dropslot.running import daemon

    status = daemon.status(settings)
    words = json.dumps(daemon.as_json(settings, status)) if as_json else _in_words(settings, status)
    sys.stdout.write(f"{words}\n")
    if not status.running:
        raise typer.Exit(FAILED)


@commands.command("start_observer")
def start_observer(config: ConfigPath = None, test: Test = False) -> None:
    """Run the watcher and its workers in the foreground, until Ctrl-C or SIGTERM."""
    settings = for_tests(configured(config), test)
    from dropslot.running import banner, daemon

    banner.show(settings)
    daemon.foreground(settings, _service(settings))


def _service(config: Config) -> Callable[[Life], None]:
    def serve(life: Life) -> None:
        # Only here: a forked process must not share a database connection.
        from dropslot.arrivals.upkeep.database import prepare
        from dropslot.arrivals.workers import service

        prepare()
        service.serve(config, life)

    return serve


def _stop_if_running(config: Config) -> None:
    from dropslot.running import daemon

    try:
        daemon.stop(config)
    except daemon.NotRunning:
        return  # there is no running one to replace


def _in_words(config: Config, status: Status) -> str:
    from dropslot.config import sections

    if status.since is None:
        return f"The watcher is not running (pid file: {escape(str(status.places.pid))})."
    since = status.since.astimezone(config.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    routes = [f"  {route.key}: {escape(route.inbox)}" for route in config.routes.values()]
    served = [f"  {what}: {address}" for what, address in sections.addresses(config)]
    return "\n".join([f"The watcher is running: pid {status.pid}, since {since}.", *routes, *served])
