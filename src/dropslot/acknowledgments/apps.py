"""Django app of the acknowledgments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dropslot.arrivals.upkeep.doctor import Finding
    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class AcknowledgmentsConfig(AppConfig):
    """Label and tables carry the prefix `dropslot_`, so that the app fits into any project."""

    name = "dropslot.acknowledgments"
    label = "dropslot_acknowledgments"
    verbose_name = "dropslot: acknowledgments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Give history its columns, the service its reader, and `doctor` what it knows of logs."""
        from dropslot.acknowledgments import history
        from dropslot.arrivals import additions

        additions.acknowledged_by(history.AcknowledgedHistory())
        additions.served_by(additions.Process("log-reader", _has_logs, _prove, _serve))
        additions.examined_by(_examine)


def _has_logs(config: Config) -> bool:
    return any(route.acknowledge for route in config.routes.values())


def _prove(config: Config) -> None:
    from dropslot.acknowledgments import schedule

    schedule.readers(config)


def _serve(config: Config, stop: Signal) -> None:
    # Here, not above: commands that read no log start sooner.
    from dropslot.acknowledgments import schedule

    schedule.serve(config, stop)


def _examine(config: Config) -> Iterable[Finding]:
    from dropslot.acknowledgments import doctor

    return doctor.examine(config)
