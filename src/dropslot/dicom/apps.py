"""Django app of DICOM."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dropslot.arrivals import registry
from dropslot.core.errors import BadOption

if TYPE_CHECKING:
    from dropslot.arrivals.importers import Importer
    from dropslot.config import Route


class DicomConfig(registry.DropslotApp):
    """The tables of images, and what fills them."""

    default = True
    name = "dropslot.dicom"
    label = "dropslot_dicom"
    verbose_name = "dropslot: DICOM"

    def importer(self, route: Route) -> Importer | None:
        from dropslot.dicom.importing.keys import is_imported

        if not is_imported(route):
            return None
        if find_spec("pydicom") is None:
            raise BadOption(
                f"Route {route.key} imports DICOM, and this installation has no pydicom",
                next_step="Install it: pip install 'dropslot[dicom]'",
            )
        from dropslot.dicom.importing.importer import DicomImporter

        return DicomImporter(route)
