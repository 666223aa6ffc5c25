"""Django app of keeping: gives the service its process, and `health` what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class KeepingConfig(registry.DropslotApp):
    """One process: reading, mending and removing take turns, and never disturb a delivery."""

    default = True
    name = "dropslot.keeping"
    label = "dropslot_keeping"
    verbose_name = "dropslot: keeping"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("keeping", _is_wanted, _needs_no_proof, _serve),)

    def late(self, config: Config) -> Iterable[registry.Late]:
        from dropslot.keeping import lateness

        return lateness.late(config)


def _is_wanted(config: Config) -> bool:
    from dropslot.keeping.process import is_wanted

    return is_wanted(config)


def _needs_no_proof(_: Config) -> None:
    """Whether files can be read is what it finds out."""


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.keeping import process

    process.serve(config, stop)
