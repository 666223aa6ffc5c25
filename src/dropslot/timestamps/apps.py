"""Django app of the time stamps: the process that asks for them. It has no tables; a stamp is an event of the trail."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.audit.verification_report import Report
    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class TimestampsConfig(registry.DropslotApp):
    """Gives the service the process that asks for stamps, `doctor` and `health` what is wrong with it."""

    default = True
    name = "dropslot.timestamps"
    label = "dropslot_timestamps"
    verbose_name = "dropslot: time stamps"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("timestamp", _is_wanted, _prove, _serve, is_scheduled=True),)

    def schedules(self, config: Config) -> Iterable[registry.Schedule]:
        from dropslot.timestamps import process

        if _is_wanted(config):
            every, turn = timedelta(seconds=process.LOOK_SECONDS), process.Turn(config)
            yield registry.Schedule("timestamp", every, lambda _: turn.look())

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        if not _is_wanted(config):
            return ()
        from dropslot.timestamps import doctor

        return doctor.findings(config)

    def late(self, config: Config) -> Iterable[registry.Late]:
        if not _is_wanted(config):
            return ()
        from dropslot.timestamps import doctor

        return doctor.late(config)

    def verify(self, config: Config) -> Report:
        from dropslot.timestamps import verify_stamps

        return verify_stamps.check(config)


def _is_wanted(config: Config) -> bool:
    from dropslot.timestamps.section import authority_of

    return authority_of(config) is not None


def _prove(config: Config) -> None:
    from dropslot.timestamps import trusted

    trusted.roots(config)


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.timestamps import process

    process.serve(config, stop)
