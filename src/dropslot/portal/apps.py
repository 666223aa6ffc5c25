"""Django app of the portal: gives the service its process. It has no tables; accounts and roles are in `access`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dropslot.arrivals import registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.config import Config
    from dropslot.running.stopping import Signal


class PortalConfig(registry.DropslotApp):
    """Gives the service the process of the portal, and `doctor` its findings."""

    default = True
    name = "dropslot.portal"
    label = "dropslot_portal"
    verbose_name = "dropslot: portal"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("portal", _wanted, _prove, _serve),)

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        from dropslot.access.section import portal_of
        from dropslot.portal import doctor, indexing

        yield from doctor.examine(config)
        if portal_of(config) is not None:
            yield from indexing.findings()


def _wanted(config: Config) -> bool:
    from django.conf import settings

    from dropslot.access.section import portal_of

    # Another project serves the pages itself, with its own settings.
    return portal_of(config) is not None and getattr(settings, "DROPSLOT_MIGRATES", False)


def _prove(config: Config) -> None:
    from dropslot.portal.serving import process

    process.prove(config)


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.portal.serving import process

    process.become(config, stop)
