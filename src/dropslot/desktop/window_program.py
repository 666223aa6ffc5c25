"""The program of the window: one a PC."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from dropslot.desktop.cycles import collect_here
from dropslot.desktop.jobs import Job
from dropslot.desktop.memory import Memory
from dropslot.desktop.window import Window
from dropslot.sender.home_folder import home

if TYPE_CHECKING:
    from dropslot.desktop.steering.steering import Steering

# Threads of the engine take turns with the window's, which wants a turn for each value of a list that it draws: in
# Python's usual 5 ms each, a list that is drawn while files are looked for would wait seconds for its rows.
SWITCH_SECONDS = 0.00002
_SIGNALS_MS = 500


def run() -> int:
    """Show the window until it is closed; the exit status."""
    sys.setswitchinterval(SWITCH_SECONDS)
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
    window.new.show_looking("Opening…")
    window.bar.offer(0, 0)
    window.show()
    _end_by_signal(app, window)
    collect_here(app)
    # The engine is loaded while the window is seen already.
    job = Job(window, _loaded)
    job.done.connect(lambda steering: _begin(app, window, steering))
    QTimer.singleShot(0, job.start)
    return app.exec()


def _loaded() -> type[Steering]:
    from dropslot.desktop.steering.steering import Steering

    return Steering


def _begin(app: QApplication, window: Window, kind: type[Steering]) -> None:
    steering = kind(window)
    app.setQuitOnLastWindowClosed(False)  # it may go on in the tray
    steering.over.connect(app.quit)
    steering.start()


def _end_by_signal(app: QApplication, window: Window) -> None:
    """Ctrl-C closes the window; Python notices it only while Python runs."""
    signal.signal(signal.SIGINT, lambda *_: window.close())
    timer = QTimer(app, interval=_SIGNALS_MS)
    timer.timeout.connect(lambda: None)
    timer.start()
