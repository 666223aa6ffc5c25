"""Whether the pixel data has the length that the header demands (PS3.3, C.7.6.3; PS3.5, 8)."""

from __future__ import annotations

from collections.abc import Mapping

from dropslot.dicom_files.scan.element_walk import Pixels

# Encapsulated syntaxes of the standard whose fragments are no frames: MPEG2, MPEG-4, HEVC.
_VIDEO = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_ENCAPSULATED = (
    "1.2.840.10008.1.2.4.",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.8.",
)
# Pixels are with somebody else: JPIP.
_REFERENCED = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (94, 95, 204, 205))
_DEMANDED = ("Rows", "Columns", "BitsAllocated")


def fault_of_pixels(values: Mapping[str, str], pixels: Pixels | None) -> str:
    """Why the pixel data does not fit the header, as a sentence; empty if it does, or if there is none to be."""
    syntax = values.get("TransferSyntaxUID", "")
    is_image = all(keyword in values for keyword in _DEMANDED)
    if pixels is None:
        return (
            "its header describes pixels, but it has no pixel data"
            if is_image and syntax not in _REFERENCED
            else ""
        )
    if not is_image:
        missing = ", ".join(keyword for keyword in _DEMANDED if keyword not in values)
        return f"it has pixel data, but no {missing}"
    if pixels.fragments is None:
        if syntax.startswith(_ENCAPSULATED):
            return "its transfer syntax demands encapsulated pixel data, but they are not encapsulated"
        return _fault_of_length(values, pixels.length)
    if syntax in _NATIVE:
        return "its transfer syntax demands native pixel data, but they are encapsulated"
    return _fault_of_fragments(values, pixels.fragments, is_video=syntax.startswith(_VIDEO))


def _fault_of_length(values: Mapping[str, str], length: int) -> str:
    try:
        demanded = _demanded_bytes(values)
    except ValueError:
        return "the numbers that give the length of its pixel data are no numbers"
    if length in (demanded, demanded + demanded % 2):
        return ""
    return f"its pixel data has {length} bytes, its header demands {demanded}"


def _fault_of_fragments(values: Mapping[str, str], fragments: int, *, is_video: bool) -> str:
    try:
        least = 1 if is_video else int(values.get("NumberOfFrames", "1"))
    except ValueError:
        least = 1
    return f"its pixel data has {fragments} fragments for {least} frames" if fragments < least else ""


def _demanded_bytes(values: Mapping[str, str]) -> int:
    rows, columns, bits, samples, frames = (
        int(values.get(keyword, "1")) for keyword in (*_DEMANDED, "SamplesPerPixel", "NumberOfFrames")
    )
    demanded = (rows * columns * samples * frames * bits + 7) // 8
    # Two pixels share their colour, or four.
    kind = values.get("PhotometricInterpretation", "")
    if kind in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        return demanded // 3 * 2
    return demanded // 2 if kind == "YBR_PARTIAL_420" else demanded
