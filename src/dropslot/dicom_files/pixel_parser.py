"""Draws one frame of a DICOM image. Runs in a process without rights, see `dropslot.parsing.program`.

Besides the file it gets memory to draw in: what it hands back are colours of points, whatever the file does to it.
"""

from __future__ import annotations

import io
import mmap
import os
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from dropslot.dicom_files import rendering
from dropslot.dicom_files.scan import by_pydicom
from dropslot.parsing.page_points import stride_of

MOST_SAMPLES = 64_000_000  # of one frame: a mammogram has 20,000,000
_CANNOT = (Exception, RecursionError, MemoryError)
_KEYWORDS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleSlope", "RescaleIntercept"),
    *("ModalityLUTSequence", "VOILUTSequence", "BitsStored", "PixelRepresentation", "PixelPaddingValue"),
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_TAGS: list[Any] = [keyword_dict[keyword] for keyword in _KEYWORDS]


def prepare() -> None:
    """Load the decoders: later no file can be opened."""
    by_pydicom.prepare()
    rendering.load_decoders()


def parse(descriptors: list[int], question: dict[str, Any]) -> dict[str, Any]:
    """Draw frame `frame` (from 1) with the window `centre` and `width` (null: the header's), no side longer than
    `side`, into the second descriptor, which holds `most_bytes`: `{"width", "height", "frames", "window"}`, rows of
    red, green, blue. Or `{"error": WORD}`: none, frame, large, syntax, memory, or a name of a fault."""
    descriptor, canvas = descriptors
    os.lseek(descriptor, 0, os.SEEK_SET)
    file = io.BufferedReader(io.FileIO(descriptor, closefd=False), 64 * 1024)
    try:
        with mmap.mmap(canvas, question["most_bytes"], mmap.MAP_SHARED) as drawn:
            return _drawn(file, drawn, question)
    except MemoryError:
        return {"error": "memory"}
    except NotImplementedError:
        return {"error": "syntax"}
    except _CANNOT as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def _drawn(file: BinaryIO, drawn: mmap.mmap, question: dict[str, Any]) -> dict[str, Any]:
    header = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=_TAGS)
    frames = max(1, int(header.get("NumberOfFrames", None) or 1))
    if not header.get("Rows", None) or not header.get("Columns", None):
        return {"error": "none"}
    if not 1 <= question["frame"] <= frames:
        return {"error": "frame", "frames": frames}
    if int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel", None) or 1) > MOST_SAMPLES:
        return {"error": "large"}
    file.seek(0)
    index = question["frame"] - 1
    if header.file_meta.get("TransferSyntaxUID", None) == DeflatedExplicitVRLittleEndian:
        read: Dataset = pydicom.dcmread(file)  # all of it is packed as one; the limit of memory ends a bomb
        points = pixel_array(read, index=index)
    else:
        read = Dataset()
        points = pixel_array(file, ds_out=read, index=index, specific_tags=_TAGS, **_syntax(header))
    if points.size > MOST_SAMPLES:
        return {"error": "large"}
    window = (question["centre"], question["width"]) if question["width"] is not None else None
    picture, used = rendering.picture(points, read, index, window, question["side"])
    height, width = picture.shape[:2]
    stride = stride_of(width)
    for row in range(height):
        drawn[row * stride : row * stride + 3 * width] = picture[row].tobytes()
    return {"width": width, "height": height, "frames": frames, "window": used}


def _syntax(header: pydicom.FileDataset) -> dict[str, Any]:
    """Files without meta information are read as pydicom guesses them."""
    if header.file_meta.get("TransferSyntaxUID", None):
        return {}
    implicit, little = header.original_encoding
    return {
        "transfer_syntax_uid": UID(
            "1.2.840.10008.1.2" if implicit else f"1.2.840.10008.1.2.{1 if little else 2}"
        )
    }
