"""The commands of the watcher: start_watcher, stop_watcher, watcher_status, start_observer."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dropslot.config import Config, ConfigError, load
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.watching import daemon
from dropslot.watching.life import Life

SERVICE = "dropslot.arrivals.service"
TEST_NAMES = "test*"

ConfigOption = Annotated[
    Path | None,
    typer.Option("-c", "--config", help="config.yaml; default: $DROPSLOT_CONFIG, then ./config.yaml."),
]
RestartOption = Annotated[bool, typer.Option("--restart", help="Stop the running watcher first.")]
TestOption = Annotated[
    bool, typer.Option("--test", help=f"Names that match '{TEST_NAMES}' are logged only, on every route.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the commands; `watcher_start` and `watcher_stop` are other names of the same."""
    app.command("start_watcher")(start_watcher)
    app.command("watcher_start", hidden=True)(start_watcher)
    app.command("stop_watcher")(stop_watcher)
    app.command("watcher_stop", hidden=True)(stop_watcher)
    app.command("watcher_status")(watcher_status)
    app.command("start_observer")(start_observer)


def start_watcher(
    config: ConfigOption = None, restart: RestartOption = False, test: TestOption = False
) -> None:
    """Start the watcher and its workers in the background."""
    settings = _configuration(config, test=test)
    try:
        if restart:
            _stop_if_running(settings)
        status = daemon.start(settings, _service(settings, foreground=False))
    except (DropslotError, OSError) as error:
        _fail(error)
    if status.places.warning:
        typer.echo(status.places.warning, err=True)
    typer.echo(f"The watcher runs: pid {status.pid}. Its log: {escape(str(status.places.out))}")


def stop_watcher(config: ConfigOption = None) -> None:
    """Stop the watcher that runs in the background."""
    try:
        pid = daemon.stop(_configuration(config))
    except (DropslotError, OSError) as error:
        _fail(error)
    typer.echo(f"The watcher has stopped: pid {pid}.")


def watcher_status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the watcher runs. Exit status 1: it does not."""
    settings = _configuration(config)
    try:
        status = daemon.status(settings)
    except (DropslotError, OSError) as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps(_as_json(settings, status)))
    else:
        typer.echo(_in_words(settings, status))
    if not status.running:
        raise typer.Exit(1)


def start_observer(config: ConfigOption = None, test: TestOption = False) -> None:
    """Run the watcher and its workers in the foreground."""
    settings = _configuration(config, test=test)
    typer.echo(banner(settings, datetime.now(UTC)))
    try:
        daemon.foreground(settings, _service(settings, foreground=True))
    except (DropslotError, OSError) as error:
        _fail(error)


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


def _configuration(path: Path | None, *, test: bool = False) -> Config:
    """The configuration; exit status 2 with every mistake when it is wrong."""
    path = Path(os.path.abspath(path or os.environ.get("DROPSLOT_CONFIG") or "config.yaml"))
    # Django's settings are made from the same file.
    os.environ["DROPSLOT_CONFIG"] = str(path)
    try:
        config = load(path)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    return _with_test_names(config) if test else config


def _with_test_names(config: Config) -> Config:
    routes = {
        key: route if route.test_names else route.model_copy(update={"test_names": TEST_NAMES})
        for key, route in config.routes.items()
    }
    return config.model_copy(update={"routes": routes})


def _service(config: Config, *, foreground: bool) -> Callable[[Life], None]:
    # Imported where it is used, after the fork: what only asks for the status needs no Django.
    def serve(life: Life) -> None:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dropslot.settings")
        importlib.import_module("django").setup()
        module = importlib.import_module(SERVICE)
        module.serve(config, life, foreground=foreground)

    return serve


def _stop_if_running(config: Config) -> None:
    try:
        daemon.stop(config)
    except daemon.NotRunning:
        return  # nothing to put a new one in the place of


def _as_json(config: Config, status: daemon.Status) -> dict[str, object]:
    since = status.since.strftime("%Y-%m-%dT%H:%M:%SZ") if status.since else None
    routes = [{"route": route.key, "inbox": escape(route.inbox)} for route in config.routes.values()]
    return {
        "running": status.running,
        "pid": status.pid,
        "since": since,
        "pid_file": escape(str(status.places.pid)),
        "routes": routes,
    }


def _in_words(config: Config, status: daemon.Status) -> str:
    if status.since is None:
        return f"The watcher does not run (pid file: {escape(str(status.places.pid))})."
    since = status.since.astimezone(config.zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    routes = [f"  {route.key}: {escape(route.inbox)}" for route in config.routes.values()]
    return "\n".join([f"The watcher runs: pid {status.pid}, since {since}.", *routes])


def _fail(error: Exception) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(1) from error
