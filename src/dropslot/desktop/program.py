"""The program of the window: one a PC."""

from __future__ import annotations

import signal
import sys

from PySide6.QtCore import QLockFile, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from dropslot.desktop.cycles import collect_here
from dropslot.desktop.memory import Memory
from dropslot.desktop.steering.steering import Steering
from dropslot.desktop.window import Window
from dropslot.sender.home import home

# Threads of the engine take turns with the window's: in Python's usual 5 ms each, a list that is drawn while files
# are sent would wait seconds for its rows.
_SWITCH_SECONDS = 0.0005
_SIGNALS_MS = 500


def run() -> int:
    """Show the window until it is closed; the exit status."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    app.setApplicationName("dropslot")
    app.setApplicationDisplayName("dropslot")
    app.setDesktopFileName("dropslot")
    lock = QLockFile(str(home() / "window.lock"))
    lock.setStaleLockTime(0)
    if not lock.tryLock(0):
        QMessageBox.information(
            None, "dropslot", "dropslot is open already: look for its window, or its icon beside the clock."
        )
        return 1
    window = Window(Memory())
    steering = Steering(window)
    app.setQuitOnLastWindowClosed(False)  # it may go on in the tray
    steering.over.connect(app.quit)
    window.show()
    _end_by_signal(app, window)
    collect_here(app)
    QTimer.singleShot(0, steering.start)
    return app.exec()


def _end_by_signal(app: QApplication, window: Window) -> None:
    """Ctrl-C closes the window; Python notices it only while Python runs."""
    signal.signal(signal.SIGINT, lambda *_: window.close())
    timer = QTimer(app, interval=_SIGNALS_MS)
    timer.timeout.connect(lambda: None)
    timer.start()
