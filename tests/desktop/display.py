"""A real X server in memory, with a window manager and a place for tray icons."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

_ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")
_SCREEN = "1600x1200x24"


@contextmanager
def display() -> Iterator[Mapping[str, str]]:
    """The environment of programs that show windows there."""
    reading, writing = os.pipe()
    # -displayfd: the server itself chooses a number that is free.
    server = subprocess.Popen(
        [*_ENDS_WITH_US, "Xvfb", "-displayfd", str(writing), "-screen", "0", _SCREEN, "-nolisten", "tcp"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with open(reading, "rb") as pipe:
        number = pipe.readline().strip().decode()
    environment = {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "QT_QPA_PLATFORMTHEME": "gtk3"}
    beside = [_started(environment, "openbox"), _started(environment, "trayer", "--edge", "top")]
    try:
        wait_until(lambda: _is_managed(environment), what="the window manager")
        yield environment
    finally:
        for process in (*beside, server):
            process.terminate()
            process.wait(60)


def _started(environment: Mapping[str, str], *command: str) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [*_ENDS_WITH_US, *command], env={**os.environ, **environment}, stdout=quiet, stderr=quiet
    )


def _is_managed(environment: Mapping[str, str]) -> bool:
    """The window manager says so at the root window."""
    command = ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]
    found = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return "window id" in found.stdout


def screenshot_folder() -> Path | None:
    """Where pictures of the documentation go; None: nobody wants them."""
    wanted = os.environ.get("PICTURES")
    return Path(wanted) if wanted else None
