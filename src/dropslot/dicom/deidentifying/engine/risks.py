"""Kinds of objects whose pixels or documents often show who the patient is. They are refused unless a route accepts
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
# Kind in config.yaml: why.
KINDS: Mapping[str, str] = {
    "US": "ultrasound images often show the patient's name",
    "SC": "captured screens and scanned papers often show the patient's name",
    "OT": "images of modality OT are often captured screens or scanned papers",
    "burned-in": "it says itself that its pixels show an identifier (BurnedInAnnotation)",
    "encapsulated": "the document inside it (PDF, CDA, STL or another) cannot be de-identified",
}


def of(sop_class: str, modality: str, burned_in: str) -> Iterator[str]:
    """The kinds that an object belongs to."""
    if modality in {"US", "IVUS"}:
        yield "US"
    if modality == "SC" or sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + "."):
        yield "SC"
    if modality == "OT":
        yield "OT"
    if burned_in == "YES":
        yield "burned-in"
    if sop_class.startswith(_ENCAPSULATED):
        yield "encapsulated"


def is_media_directory(sop_class: str) -> bool:
    """A DICOMDIR."""
    return sop_class == _MEDIA_DIRECTORY
