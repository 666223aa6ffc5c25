"""Python's collector of cycles runs in the window's thread alone: an object of Qt that another thread collects is
destroyed there, which Qt does not survive."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 10_000
_YOUNG = 1


def collect_here(parent: QObject) -> QTimer:
    """From now on, in this thread, as long as `parent` lives."""
    gc.disable()
    gc.collect()
    gc.freeze()  # loaded code stays
    timer = QTimer(parent, interval=_EVERY_MS)
    # Not all generations: to look through a plan of 100,000 files would be seen as a stutter.
    timer.timeout.connect(lambda: gc.collect(_YOUNG))
    timer.start()
    return timer
