"""One frame of a DICOM image as colours of points. Another process draws it, without rights: see `pixel_parser`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple

from dropslot.core.names import escape
from dropslot.dicom_files.confined_reader import CannotLook, asked, memory
from dropslot.parsing.page_points import stride_of

PARSER = "dropslot.dicom_files.pixel_parser"
SIDE = 1024  # of the longer side, at most
MOST_BYTES = stride_of(SIDE) * SIDE
SECONDS = 20.0
_MEMORY_BYTES = 1536 * 1024 * 1024
_WHY = {
    "none": "It has no image",
    "frame": "There is no frame of this number",
    "large": "The image has too many points to be shown here",
    "syntax": "Images of its transfer syntax cannot be decoded here",
    "memory": "The image needs too much memory",
}


class Drawn(NamedTuple):
    """A canvas with `height` rows of red, green and blue (`page_points.stride_of`); `frames` of the image; `window` is
    its centre and width, if the frame has shades of grey and one was used."""

    canvas: int
    width: int
    height: int
    frames: int
    window: tuple[float, float] | None


def draw(stack: ExitStack, file: int, frame: int, window: tuple[float, float] | None = None) -> Drawn:
    """Draw a frame, counted from 1, of the file behind this descriptor, which is open for reading only. The canvas is
    there as long as the stack is open. Raises CannotLook."""
    canvas = memory(stack, "canvas", MOST_BYTES)
    centre, width = window or (None, None)
    question = {"frame": frame, "centre": centre, "width": width, "side": SIDE, "most_bytes": MOST_BYTES}
    said = asked(PARSER, [file, canvas], question, SECONDS, _MEMORY_BYTES)
    if "error" in said:
        word = str(said["error"])
        raise CannotLook(
            _WHY.get(word) or f"The image cannot be decoded ({escape(' '.join(word.split()))[:300]})"
        )
    sizes = [_number(said.get(key)) for key in ("width", "height", "frames")]
    if not 0 < stride_of(sizes[0]) * sizes[1] <= MOST_BYTES:
        raise CannotLook("The image cannot be decoded")
    return Drawn(canvas, sizes[0], sizes[1], sizes[2], _window(said.get("window")))


def _number(value: object) -> int:
    """A number that the other process said; 0 unless it can be one of points or frames."""
    return value if type(value) is int and 0 < value < 1 << 31 else 0


def _window(value: object) -> tuple[float, float] | None:
    match value:
        case [float(centre), float(width)] if abs(centre) < 1e12 and 0 < width < 1e12:
            return centre, width
    return None
