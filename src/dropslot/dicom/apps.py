"""Django app of DICOM."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dropslot.arrivals import registry
from dropslot.core.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dropslot.arrivals.importers import Importer
    from dropslot.config import Config, Route
    from dropslot.contents.makers import Maker
    from dropslot.running.stopping import Signal


class DicomConfig(registry.DropslotApp):
    """The tables of images, and what fills them."""

    default = True
    name = "dropslot.dicom"
    label = "dropslot_dicom"
    verbose_name = "dropslot: DICOM"

    def processes(self) -> Sequence[registry.Process]:
        return (registry.Process("dicom-receiver", _receives, _prove, _serve),)

    def examine(self, config: Config) -> Iterable[registry.Finding]:
        from dropslot.dicom.deidentifying import doctor

        return doctor.examine(config)

    def importer(self, route: Route) -> Importer | None:
        from dropslot.dicom.importing.config_keys import is_imported

        if not is_imported(route):
            return None
        if find_spec("pydicom") is None:
            raise BadOption(
                f"Route {route.key} imports DICOM, and this installation has no pydicom",
                next_step="Install it: pip install 'dropslot[dicom]'",
            )
        from dropslot.dicom.importing.importer import DicomImporter

        return DicomImporter(route)

    def maker(self, config: Config, route: Route) -> Maker | None:
        from dropslot.dicom.deidentifying.config_keys import deidentify_of

        if deidentify_of(route) is None or self.importer(route) is None:
            return None
        from dropslot.dicom.deidentifying.route_maker import maker_of

        return maker_of(config, route)


def _receives(config: Config) -> bool:
    from dropslot.dicom.receiving.config_keys import receive_of, takes_studies

    # With a portal, studies come by STOW-RS as well.
    has_portal = bool(getattr(config, "portal", None))
    return any(receive_of(one) or (has_portal and takes_studies(one)) for one in config.routes.values())


def _prove(config: Config) -> None:
    if find_spec("pynetdicom") is None:
        raise BadOption(
            "A route receives DICOM, and this installation has no pynetdicom",
            next_step="Install it: pip install 'dropslot[dicom]'",
        )
    from dropslot.dicom.receiving import process

    process.prove(config)


def _serve(config: Config, stop: Signal) -> None:
    from dropslot.dicom.receiving import process

    process.serve(config, stop)
