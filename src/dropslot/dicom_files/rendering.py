"""From the values of a frame to colours on a screen (PS3.3, C.7.6.3, C.11.1, C.11.2). For the process without rights
alone: see `pixel_parser`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.uid import AllTransferSyntaxes

Points = NDArray[Any]
Window = tuple[float, float]
_FINITE = 1e12


def load_decoders() -> None:
    """Import what decodes compressed pixels, and the parts of it that load when they are used first."""
    for syntax in AllTransferSyntaxes:
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError:
            continue
        assert decoder.is_available or decoder.missing_dependencies
    Image.init()
    apply_color_lut(np.zeros((1, 1), "uint8"), palette="PET")
    Image.fromarray(np.zeros((2, 2, 3), "uint8")).resize((1, 1), Image.Resampling.BOX)


def picture(
    points: Points, header: Dataset, index: int, window: Window | None, side: int
) -> tuple[NDArray[np.uint8], list[float] | None]:
    """Rows of red, green and blue, and the window that was used (centre, width), if there is one."""
    step = max(1, max(points.shape[:2]) // (2 * side))
    points = points[::step, ::step]  # before anything makes larger numbers of them
    kind = str(header.get("PhotometricInterpretation", ""))
    used: list[float] | None = None
    if kind == "PALETTE COLOR":
        colours = _eight_bits(apply_color_lut(points, header), 16)
    elif points.ndim == 3:
        colours = _eight_bits(points, int(header.get("BitsStored", None) or 8))
    else:
        grey, used = _grey(points, _of_frame(header, index), window)
        colours = np.stack([255 - grey if kind == "MONOCHROME1" else grey] * 3, axis=-1)
    return _fitted(colours, side), used


def _eight_bits(colours: Points, bits: int) -> NDArray[np.uint8]:
    if colours.dtype == np.uint8:
        return colours[..., :3]
    shift = max(0, (8 * colours.dtype.itemsize if bits > 8 * colours.dtype.itemsize else bits) - 8)
    made: NDArray[np.uint8] = np.clip(colours[..., :3] >> shift, 0, 255).astype("uint8")
    return made


def _of_frame(header: Dataset, index: int) -> Dataset:
    """The header with what an enhanced multi-frame image says of this frame."""
    for sequence, at in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        groups = header.get(sequence, None) or []
        group = groups[at] if at < len(groups) else Dataset()
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in (group.get(name, None) or [])[:1]:
                header.update({element.tag: element for element in item})
    return header


def _grey(
    points: Points, header: Dataset, window: Window | None
) -> tuple[NDArray[np.uint8], list[float] | None]:
    padding = header.get("PixelPaddingValue", None)
    is_padding = points == padding if isinstance(padding, int) else None
    values = np.nan_to_num(
        np.asarray(apply_modality_lut(points, header), dtype="float32"), posinf=0, neginf=0
    )
    chosen = window or _window(header)
    if chosen:
        grey = _windowed(values, *chosen, str(header.get("VOILUTFunction", "") or "LINEAR"))
    else:
        if header.get("VOILUTSequence", None) and np.issubdtype(points.dtype, np.integer):
            values = apply_voi_lut(points, header).astype("float32")
        seen = values if is_padding is None or is_padding.all() else values[~is_padding]
        low, high = float(seen.min()), float(seen.max())
        grey = (values - low) * (255 / (high - low) if high > low else 0)
    made: NDArray[np.uint8] = np.clip(grey, 0, 255).astype("uint8")
    return made, [float(each) for each in chosen] if chosen else None


def _window(header: Dataset) -> Window | None:
    """The first window of the header."""
    found = [_first(header.get(name, None)) for name in ("WindowCenter", "WindowWidth")]
    if None in found or not found[1] or not all(abs(each or 0) < _FINITE for each in found):
        return None
    return float(found[0] or 0), abs(float(found[1]))


def _first(value: Any) -> float | None:
    if value is not None and not isinstance(value, str) and hasattr(value, "__getitem__"):
        value = value[0] if len(value) else None
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _windowed(values: Points, centre: float, width: float, function: str) -> Points:
    if function == "SIGMOID":
        return np.asarray(255 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -80, 80))))
    if function == "LINEAR_EXACT":
        return np.asarray(((values - centre) / width + 0.5) * 255)
    if width <= 1:
        return np.asarray((values > centre - 0.5) * 255.0)
    return np.asarray(((values - (centre - 0.5)) / (width - 1) + 0.5) * 255)


def _fitted(colours: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = colours.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return colours
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(np.ascontiguousarray(colours)).resize(size, Image.Resampling.BOX))
