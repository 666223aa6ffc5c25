"""Django app of DICOM."""

from __future__ import annotations

from dropslot.arrivals import registry


class DicomConfig(registry.DropslotApp):
    """The tables of images, and what fills them."""

    default = True
    name = "dropslot.dicom"
    label = "dropslot_dicom"
    verbose_name = "dropslot: DICOM"
