"""Django app of the acknowledgments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class AcknowledgmentsConfig(registry.DropslotApp):
    """Gives the service its log reader, `doctor` the findings about logs, and `history` its columns."""

    default = True
    name = "dropslot.acknowledgments"
    label = "dropslot_acknowledgments"
    verbose_name = "dropslot: acknowledgments"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("log-reader", _has_logs, _prove, _serve, is_scheduled=True),)

    def schedules(self, config: Config) -> Iterable[registry.Schedule]:
        from dropslot.acknowledgments import schedule

        return schedule.schedules(config)

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        from dropslot.acknowledgments import doctor

        return doctor.examine(config)

    def late(self, config: Config) -> Iterable[registry.Late]:
        from dropslot.acknowledgments import lateness

        return lateness.late(config)

    def columns(self) -> registry.Columns:
        from dropslot.acknowledgments.history_columns import AcknowledgedColumns

        return AcknowledgedColumns()


def _has_logs(config: Config) -> bool:
    from dropslot.acknowledgments.section import entries

    return any(entries(config))


def _prove(config: Config) -> None:
    from dropslot.acknowledgments import schedule

    schedule.readers(config)


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.acknowledgments import schedule

    schedule.serve(config, stop)
