"""The commands of the watcher: start_watcher, stop_watcher, watcher_status, start_observer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import AsJson, ConfigPath
from dropslot.cli.starting import configured, started
from dropslot.core.names import escape

if TYPE_CHECKING:
    from dropslot.config import Config
    from dropslot.watching.daemon import Status
    from dropslot.watching.life import Life

TEST_NAMES = "test*"

RestartOption = Annotated[bool, typer.Option("--restart", help="Stop the running watcher first.")]
TestOption = Annotated[
    bool, typer.Option("--test", help=f"Names that match '{TEST_NAMES}' are logged only, on every route.")
]

commands = typer.Typer()


@commands.command("watcher_start", hidden=True)
@commands.command()
def start_watcher(
    config: ConfigPath = None, restart: RestartOption = False, test: TestOption = False
) -> None:
    """Start the watcher and its workers in the background."""
    settings = _started(config, test=test)
    from dropslot.watching import daemon

    if restart:
        _stop_if_running(settings)
    status = daemon.start(settings, _service(settings))
    if status.places.warning:
        typer.echo(status.places.warning, err=True)
    typer.echo(f"The watcher runs: pid {status.pid}. Its log: {escape(str(status.places.out))}")


@commands.command("watcher_stop", hidden=True)
@commands.command()
def stop_watcher(config: ConfigPath = None) -> None:
    """Stop the watcher that runs in the background."""
    settings = configured(config)
    from dropslot.watching import daemon

    try:
        pid = daemon.stop(settings)
    except daemon.NotRunning as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"The watcher has stopped: pid {pid}.")


@commands.command()
def watcher_status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say whether the watcher runs. Exit status 1: it does not."""
    settings = configured(config)
    from dropslot.watching import daemon

    status = daemon.status(settings)
    if as_json:
        typer.echo(json.dumps(_as_json(settings, status)))
    else:
        typer.echo(_in_words(settings, status))
    if not status.running:
        raise typer.Exit(1)


@commands.command()
def start_observer(config: ConfigPath = None, test: TestOption = False) -> None:
    """Run the watcher and its workers in the foreground."""
    settings = _started(config, test=test)
    from dropslot.watching import daemon

    typer.echo(banner(settings, datetime.now(UTC)))
    daemon.foreground(settings, _service(settings))


def banner(config: Config, now: datetime) -> str:
    """What start_observer connects to and watches."""
    lines = [f"dropslot observer, started {now.astimezone(config.zone):%Y-%m-%d %H:%M:%S %Z}"]
    for route in config.routes.values():
        lines += [
            f"Route {route.key}: takes {route.takes}, complete when {route.complete}",
            f"  inbox         {escape(route.inbox)}",
            *(f"  destination   {escape(one.to)}" for one in route.deliver),
            *(f"  processed by  {dotted}" for dotted in route.processors),
        ]
    return "\n".join([*lines, "Press CTRL-C to stop."])


def _started(path: Path | None, *, test: bool) -> Config:
    config = started(path)
    from django.db import connections

    # Descriptors do not cross the forks that follow.
    connections.close_all()
    return _with_test_names(config) if test else config


def _with_test_names(config: Config) -> Config:
    routes = {
        key: route if route.test_names else route.model_copy(update={"test_names": TEST_NAMES})
        for key, route in config.routes.items()
    }
    return config.model_copy(update={"routes": routes})


def _service(config: Config) -> Callable[[Life], None]:
    def serve(life: Life) -> None:
        from dropslot.arrivals import service

        service.serve(config, life)

    return serve


def _stop_if_running(config: Config) -> None:
    from dropslot.watching import daemon

    try:
        daemon.stop(config)
    except daemon.NotRunning:
        return  # nothing to put a new one in the place of


def _as_json(config: Config, status: Status) -> dict[str, object]:
    since = status.since.strftime("%Y-%m-%dT%H:%M:%SZ") if status.since else None
    routes = [{"route": route.key, "inbox": escape(route.inbox)} for route in config.routes.values()]
    return {
        "running": status.running,
        "pid": status.pid,
        "since": since,
        "pid_file": escape(str(status.places.pid)),
        "routes": routes,
    }


def _in_words(config: Config, status: Status) -> str:
    if status.since is None:
        return f"The watcher does not run (pid file: {escape(str(status.places.pid))})."
    since = status.since.astimezone(config.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    routes = [f"  {route.key}: {escape(route.inbox)}" for route in config.routes.values()]
    return "\n".join([f"The watcher runs: pid {status.pid}, since {since}.", *routes])
