"""How long the window takes to open, until it is on the screen of a real X server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import yaml

from benchmarks.report import Row, seconds

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from desktop.display import display

_FILES = 100
_LIMIT_SECONDS = 1.5
_LONGEST_SECONDS = 60
_BARE = (
    "from PySide6.QtWidgets import QApplication, QWidget; app = QApplication([]); w = QWidget();"
    " w.setWindowTitle('dropslot'); w.show(); app.exec()"
)


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians; everything was compiled to bytecode by a run before. The peer is an empty window of Qt."""
    root = scratch / "desktop-start"
    _make_home(root)
    with display() as shown:
        environment = {**os.environ, **shown, "DROPSLOT_SENDER_HOME": str(root / "home")}
        ours = [sys.executable, "-m", "dropslot", "desktop"]
        theirs = [sys.executable, "-c", _BARE]
        _opened(ours, environment)
        taken = [_opened(ours, environment) for _ in range(trials)]
        bare = [_opened(theirs, environment) for _ in range(trials)]
    middle = median(taken)
    peer = "an empty window of Qt"
    return [
        Row("dropslot desktop", seconds(middle), peer, seconds(median(bare)), middle, _LIMIT_SECONDS, "s")
    ]


def _make_home(root: Path) -> None:
    data = root / "eprime"
    data.mkdir(parents=True)
    for number in range(_FILES):
        (data / f"trial{number:03}.edat3").write_bytes(b"recorded")
    (root / "home").mkdir()
    preset = {"to": "sftp://ann@drop.lab.example/inbox", "folders": {"eprime": str(data)}}
    (root / "home" / "settings.yaml").write_text(yaml.safe_dump({"presets": {"heart": preset}}))


def _opened(command: list[str], environment: Mapping[str, str]) -> float:
    """From the start of the program until the window manager shows its window."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _is_shown(environment):
            if process.poll() is not None or time.perf_counter() - begun > _LONGEST_SECONDS:
                raise RuntimeError(f"{command} showed no window")
        return time.perf_counter() - begun
    finally:
        process.kill()
        process.wait()


def _is_shown(environment: Mapping[str, str]) -> bool:
    """Whether the window manager has taken the window of this title, and shows it."""
    asked = ["xprop", "-name", "dropslot", "WM_STATE"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    return "Normal" in done.stdout
