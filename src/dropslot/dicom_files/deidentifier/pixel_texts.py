"""Where among a file's pixels texts may be: everywhere in compressed ones, which have comments and other segments, and
behind native ones that are longer than the image."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.dicom_files.deidentifier import texts
from dropslot.dicom_files.deidentifier.dicom_file import File
from dropslot.dicom_files.deidentifier.elements import Element

_NATIVE = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
)
_ROWS, _COLUMNS, _BITS, _SAMPLES = 0x00280010, 0x00280011, 0x00280100, 0x00280002
_FRAMES, _PHOTOMETRIC = 0x00280008, 0x00280004
_HEADER = 8  # bytes at most before the value that are not counted


def place_of(file: File) -> tuple[int, int]:
    """From where to where in the file's data texts are searched."""
    if file.pixels is None:
        return 0, 0
    start, end = file.pixels.offset, file.pixels.offset + file.pixels.size_bytes
    if file.transfer_syntax not in _NATIVE:
        return start, end
    return min(start + _HEADER + _image_bytes(file.elements, file.syntax.is_little), end), end


def _image_bytes(elements: Sequence[Element], is_little: bool) -> int:
    known = {element.tag: element.value for element in elements}

    def number(tag: int, default: int) -> int:
        value = known.get(tag, b"")
        return int.from_bytes(value[:2], "little" if is_little else "big") if len(value) >= 2 else default

    frames = texts.text_of(known.get(_FRAMES, b""), ["iso8859"])
    count = int(frames) if frames.isascii() and frames.isdecimal() and len(frames) < 10 else 1
    bits = number(_ROWS, 0) * number(_COLUMNS, 0) * number(_SAMPLES, 1) * number(_BITS, 8) * count
    is_shared = b"422" in known.get(_PHOTOMETRIC, b"")  # two pixels share their colour
    return (bits // 3 * 2 if is_shared else bits) // 8
