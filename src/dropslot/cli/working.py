"""`worker` and `beat`: Celery's side of an installation with more than one machine. `sentinel`: what watches over
all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dropslot.cli.options import ConfigPath
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.startup import started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dropslot.config import Config
    from dropslot.running.life import Life

commands = typer.Typer()


@commands.command()
def worker(
    config: ConfigPath = None,
    routes: Annotated[
        str,
        typer.Option(
            "--routes", metavar="A,B", help="Only these routes; default: all, and what belongs to none."
        ),
    ] = "",
) -> None:
    """Work on arrivals with `workers: celery`, in `worker_count` processes, until Ctrl-C or SIGTERM.

    It watches no inbox. A delivery that is not finished in time is finished by another worker.
    """
    settings = _with_celery(started(config))
    chosen = _chosen(settings, routes)
    from dropslot.arrivals.workers import supervised_processes
    from dropslot.running import daemon

    def serve(life: Life) -> None:
        supervised_processes.serve_workers(settings, life, chosen)

    daemon.beside(settings, serve)


@commands.command()
def beat(config: ConfigPath = None) -> None:
    """Send the schedules with `workers: celery`, and whatever is due but has no message, until Ctrl-C or SIGTERM.

    `dropslot run` does this, too. Of several only one acts; another takes over when it ends.
    """
    settings = _with_celery(started(config))
    from dropslot.arrivals.workers import supervised_processes
    from dropslot.running import daemon

    daemon.beside(settings, lambda life: supervised_processes.serve_beat(settings, life))


@commands.command()
def sentinel(config: ConfigPath = None) -> None:
    """Watch over the services of this installation, and say if one was killed, until Ctrl-C or SIGTERM.

    Each service has a sentinel of its own, which is killed with it. This one is not, on this machine or another.
    """
    settings = started(config)
    from dropslot.arrivals.workers import supervised_processes
    from dropslot.running import daemon

    daemon.beside(settings, lambda life: supervised_processes.serve_sentinel(settings, life, "sentinel"))


def _with_celery(config: Config) -> Config:
    if config.workers != "celery":
        raise UsageError(
            "config.yaml has `workers: local`: its workers are part of `dropslot run`",
            next_step="For workers by themselves: `workers: celery`, and `broker`",
        )
    return config


def _chosen(config: Config, routes: str) -> Sequence[str]:
    chosen = [name for part in routes.split(",") if (name := part.strip())]
    for name in chosen:
        if name not in config.routes:
            raise UsageError(
                f"There is no route {name!r}", next_step=f"The routes are {', '.join(sorted(config.routes))}"
            )
    return chosen
