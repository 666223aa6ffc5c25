"""Python's collector of cycles runs in the window's thread alone: an object of Qt that another thread collects is
destroyed there, which Qt does not survive."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 10_000
_YOUNG, _MANY = 1, 20_000


def collect_here(parent: QObject) -> QTimer:
    """From now on, in this thread, as long as `parent` lives."""
    gc.disable()
    gc.collect()
    gc.freeze()  # loaded code stays
    timer = QTimer(parent, interval=_EVERY_MS)
    timer.timeout.connect(_collect)
    timer.start()
    return timer


def _collect() -> None:
    """To look through a plan of 100,000 files would be seen as a stutter. So not all generations are looked at, and so
    many new objects not at all: they are data, which goes away without the collector."""
    if gc.get_count()[0] > _MANY:
        gc.freeze()
    else:
        gc.collect(_YOUNG)
