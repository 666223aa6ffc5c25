"""Kinds of objects whose pixels or documents often show who the patient is. They are refused unless a route accepts
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_ULTRASOUND = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{number}" for number in ("3", "3.1", "6", "6.1", "6.2", "6.3")
)
_MODALITY, _IMAGE_TYPE, _BURNED_IN = 0x00080060, 0x00080008, 0x00280301
_OVERLAY_BIT = 0x60000102
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
# Kind in config.yaml: why.
KINDS: Mapping[str, str] = {
    "US": "ultrasound images often show the patient's name",
    "SC": "captured screens and scanned papers often show the patient's name",
    "OT": "images of modality OT are often captured screens or scanned papers",
    "burned-in": "it says itself that its pixels show an identifier (BurnedInAnnotation)",
    "filter": "a filter of the recipe matches, so that its pixels may show an identifier",
    "encapsulated": "the document inside it (PDF, CDA, STL or another) cannot be de-identified",
}


def of(sop_class: str, values: Mapping[int, str]) -> Iterator[str]:
    """The kinds that an object belongs to. `values`: by tag."""
    modalities = set(values.get(_MODALITY, "").upper().replace(" ", "").split("\\"))
    if modalities & {"US", "IVUS"} or sop_class in _ULTRASOUND:
        yield "US"
    is_capture = sop_class == _SECONDARY_CAPTURE or sop_class.startswith(_SECONDARY_CAPTURE + ".")
    if "SC" in modalities or is_capture or "SCREEN" in values.get(_IMAGE_TYPE, "").upper():
        yield "SC"
    if "OT" in modalities:
        yield "OT"
    if values.get(_BURNED_IN, "").upper() not in {"", "NO", "N"} or _has_overlay_in_pixels(values):
        yield "burned-in"
    if sop_class.startswith(_ENCAPSULATED):
        yield "encapsulated"


def _has_overlay_in_pixels(values: Mapping[int, str]) -> bool:
    """Whether an overlay lies in bits of the pixels, as it did in old files."""
    return any(tag & 0xFF00FFFF == _OVERLAY_BIT and value.strip("\0") for tag, value in values.items())


def is_media_directory(sop_class: str) -> bool:
    """A DICOMDIR."""
    return sop_class == _MEDIA_DIRECTORY
