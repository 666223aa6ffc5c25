"""The icon in the formats of Windows, macOS and Linux, from the one drawing: icon.svg of the portal.

python scripts/package/icons.py FOLDER    # writes dropslot.ico, dropslot.icns and dropslot.png
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).parents[2] / "src"
DRAWING = SOURCE / "dropslot" / "portal" / "static" / "dropslot" / "icon.svg"
OF_THE_WINDOW = SOURCE / "dropslot" / "desktop" / "icon.png"
_ICO = (16, 24, 32, 48, 64, 128, 256)
_ICNS = (32, 64, 128, 256, 512, 1024)


def write(folder: Path) -> None:
    """Write the three files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    images = {size: drawn(size) for size in {*_ICO, *_ICNS}}
    images[256].save(folder / "dropslot.png")
    images[256].save(
        folder / "dropslot.ico",
        sizes=[(size, size) for size in _ICO],
        append_images=[images[s] for s in _ICO],
    )
    images[1024].save(folder / "dropslot.icns", append_images=[images[size] for size in _ICNS])


def drawn(size: int) -> Image.Image:
    """The drawing, so many pixels wide and high. Qt must be able to start: set QT_QPA_PLATFORM=offscreen."""
    _application = QGuiApplication.instance() or QGuiApplication([])
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(DRAWING)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return Image.open(io.BytesIO(bytes(buffer.data().data())))


if __name__ == "__main__":
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    write(Path(sys.argv[1]))
