"""The longest time for which the window stands still, with 100,000 files: it shows no frame meanwhile.

A window in a process of its own looks for them, shows them, changes ticks, scrolls, sends some to Debian's sshd, and
lists what was sent. A timer of its event loop notes how long each of its turns comes too late, without the time in
which the system let a thread of it wait for a processor: on a still machine there is none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import yaml

from benchmarks.report import Row, seconds
from benchmarks.server import serving

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from desktop.display import display

FILES, FOLDERS = 100_000, 100
_LIMIT_MS = 100
_BEAT_MS, _STEP_MS = 5, 20
_SENDING_SECONDS = 3.0
Step = tuple[str, Callable[[], object], Callable[[], bool]]


def measure(scratch: Path, trials: int) -> list[Row]:
    """For each thing that somebody does, the longest gap of all trials; beside it, how much of it the window's own
    thread computed."""
    longest: dict[str, tuple[float, float]] = {}
    for trial in range(trials):
        for what, gap in _one(scratch / f"desktop-frames-{trial}").items():
            longest[what] = max(longest.get(what, (0.0, 0.0)), (gap[0], gap[1]))
    own = "its own thread at work"
    return [
        Row(f"{FILES:,} files, {what}", seconds(gap), own, seconds(cpu), gap * 1000, _LIMIT_MS, "ms")
        for what, (gap, cpu) in longest.items()
    ]


def _one(root: Path) -> dict[str, list[float]]:
    root.mkdir()
    (root / "inbox").mkdir()
    with serving(root / "server") as server, display() as shown:
        _make_home(root, server.port, server.key, server.known_hosts)
        environment = {**os.environ, **shown, "DROPSLOT_SENDER_HOME": str(root / "home")}
        command = [sys.executable, "-m", "benchmarks.desktop_frames"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=300)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _make_home(root: Path, port: int, key: Path, known_hosts: Path) -> None:
    for folder in range(FOLDERS):
        (inner := root / "eprime" / f"visit{folder:03}").mkdir(parents=True)
        for number in range(FILES // FOLDERS):
            path = inner / f"trial{number:04}.edat3"
            path.write_bytes(b"%d %d" % (folder, number))
            os.utime(path, (1_700_000_000, 1_700_000_000))
    (root / "home").mkdir()
    access = {
        "to": f"sftp://root@127.0.0.1:{port}{root}/inbox",
        "key": str(key),
        "known_hosts": str(known_hosts),
    }
    preset = {**access, "folders": {"eprime": str(root / "eprime")}}
    (root / "home" / "settings.yaml").write_text(yaml.safe_dump({"presets": {"heart": preset}}))


def _show() -> dict[str, tuple[float, float]]:
    """Open the window in this process, and do all steps."""
    from PySide6.QtCore import Qt, QTimer
    from PySide6.QtWidgets import QApplication

    from dropslot.desktop.cycles import collect_here
    from dropslot.desktop.memory import Memory
    from dropslot.desktop.steering.steering import Steering
    from dropslot.desktop.window import Window
    from dropslot.desktop.window_program import SWITCH_SECONDS

    sys.setswitchinterval(SWITCH_SECONDS)
    app = QApplication([])
    window = Window(Memory())
    window.show()
    collect_here(window)
    steering = Steering(window)
    heart = _Heart()
    steps = _steps(window, steering)
    step = next(steps)

    def go_on() -> None:
        nonlocal step
        if not step[2]():
            return
        following = next(steps, None)
        if following is None:
            app.quit()
            return
        step = following
        heart.what = step[0]
        step[1]()

    beat = QTimer(app, interval=_BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
    beat.timeout.connect(heart.beat)
    turn = QTimer(app, interval=_STEP_MS)
    turn.timeout.connect(go_on)
    heart.what = step[0]
    step[1]()
    for timer in (beat, turn):
        timer.start()
    app.exec()
    steering.stop()
    return heart.longest


class _Heart:
    """Beats in the event loop. `longest`: by what is done, the longest gap between two beats beyond the usual one, and
    the processor time of this thread in it."""

    def __init__(self) -> None:
        self.what = ""
        self.longest: dict[str, tuple[float, float]] = {}
        self._last = time.perf_counter(), time.thread_time()
        self._waited = _waited_seconds()

    def beat(self) -> None:
        now, waited = (time.perf_counter(), time.thread_time()), _waited_seconds()
        # The window waits for the thread that has Python's lock, which waits for a processor.
        lost = max(waited[thread] - self._waited.get(thread, 0.0) for thread in waited)
        gap = now[0] - self._last[0] - _BEAT_MS / 1000 - lost, now[1] - self._last[1]
        self.longest[self.what] = max(self.longest.get(self.what, (0.0, 0.0)), gap)
        self._last, self._waited = now, waited


def _waited_seconds() -> dict[str, float]:
    """How long each thread of this process could work and had no processor, so far."""
    found = {}
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # it ended
            found[thread] = int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[1]) / 1e9
    return found


def _steps(window: object, steering: object) -> Iterator[Step]:
    """What is done, how it begins, and when it is over."""
    from dropslot.desktop.steering.steering import Steering
    from dropslot.desktop.window import Window

    assert isinstance(window, Window) and isinstance(steering, Steering)
    new, sent, bar = window.new, window.sent, window.bar
    yield "looked for", steering.start, lambda: len(new.model.tree) == FILES and bar.send.isEnabled()
    yield "shown", lambda: None, _after(0.5)
    yield "without ticks", lambda: new.model.choose_all(False), _after(0.3)
    yield "with ticks", lambda: new.model.choose_all(True), _after(0.3)
    yield "a folder opened", lambda: new.view.expand(new.model.index(0, 0)), _after(0.3)
    yield "scrolled to the end", new.view.scrollToBottom, _after(0.3)
    yield "sent", bar.send.click, _all(lambda: bool(bar.progress.whole.value()), _after(_SENDING_SECONDS))
    yield "listed while they are sent", lambda: window.tabs.setCurrentWidget(sent), _after(_SENDING_SECONDS)
    yield "scrolled while they are sent", sent.view.scrollToBottom, _after(1.0)
    yield "paused", bar.progress.pause.click, lambda: bar.send.isVisible() and bar.send.isEnabled()
    yield "searched", lambda: sent.search.setText("trial0001"), _after(1.0)


def _all(*conditions: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: all(each() for each in conditions)


def _after(seconds: float) -> Callable[[], bool]:
    """When so long has passed since the first question."""
    end = [0.0]

    def is_over() -> bool:
        end[0] = end[0] or time.monotonic() + seconds
        return time.monotonic() > end[0]

    return is_over


if __name__ == "__main__":
    print(json.dumps(_show()))
