"""Django app of the notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class NotifyConfig(registry.DropslotApp):
    """Gives the service the process that tells people, and `doctor` and `health` what is wrong with it."""

    default = True
    name = "dropslot.notify"
    label = "dropslot_notify"
    verbose_name = "dropslot: notifications"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("notify", _wanted, _prove, _serve, everywhere=True),)

    def listen(self, config: Config) -> None:
        from dropslot.notify.engine import writing_down

        writing_down.listen(config)

    def after_drain(self, config: Config) -> None:
        if _wanted(config):
            from dropslot.notify.engine import process

            process.tell_now(config)

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        from dropslot.notify import trying
        from dropslot.notify.engine import doctor

        return (*trying.examine(config), *doctor.examine(config))

    def late(self, config: Config) -> Iterable[registry.Late]:
        from dropslot.notify.engine import doctor

        return doctor.late(config)


def _wanted(config: Config) -> bool:
    from dropslot.notify.section import is_wanted

    return is_wanted(config)


def _prove(config: Config) -> None:
    from dropslot.notify.engine import process

    process.prove(config)


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.notify.engine import process

    process.serve(config, stop)
