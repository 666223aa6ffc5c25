"""A real X server in memory, with a window manager and a place for tray icons."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from waiting import wait_until

_ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")
_SCREEN = "1600x1200x24"
_TRIALS = 3
_START_SECONDS = 60
_END_SECONDS = 30


@contextmanager
def display() -> Iterator[Mapping[str, str]]:
    """The environment of programs that show windows there.

    A server or window manager that ends or hangs at its start, as one did on a busy machine, is given up for another
    one: these programs are not what is tested.
    """
    with ExitStack() as running:
        yield _first_managed(running)


def _first_managed(running: ExitStack) -> Mapping[str, str]:
    failures: list[str] = []
    while len(failures) < _TRIALS:
        with ExitStack() as trial, TemporaryFile("w+") as said:
            try:
                environment = _x_server(trial, said)
                manager = _started(trial, said, environment, "openbox")
                wait_until(
                    lambda: manager.poll() is not None or _is_managed(environment),  # noqa: B023 — asked at once
                    what="the window manager",
                )
                assert manager.poll() is None, f"openbox ended with {manager.returncode}"
            except AssertionError as error:
                said.seek(0)
                failures.append(f"{error}; its programs said: {said.read()}")
                continue
            _started(trial, said, environment, "trayer", "--edge", "top")
            running.enter_context(trial.pop_all())
            return environment
    raise AssertionError("\n".join(failures))


def _x_server(running: ExitStack, said: IO[str]) -> Mapping[str, str]:
    """-displayfd: the server itself chooses a number that is free. It keeps its state when the last client leaves."""
    reading, writing = os.pipe()
    options = ["-displayfd", str(writing), "-screen", "0", _SCREEN, "-nolisten", "tcp", "-noreset"]
    _started(running, said, {}, "Xvfb", *options, pass_fds=[writing])
    os.close(writing)
    with open(reading, "rb") as pipe:
        answered = select.select([pipe], [], [], _START_SECONDS)[0]
        number = pipe.readline().strip().decode() if answered else ""
    assert number, "Xvfb did not start"
    return {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "QT_QPA_PLATFORMTHEME": "gtk3"}


def _started(
    running: ExitStack,
    said: IO[str],
    environment: Mapping[str, str],
    *command: str,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [*_ENDS_WITH_US, *command],
        env={**os.environ, **environment},
        stdout=said,
        stderr=said,
        pass_fds=pass_fds,
    )
    running.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_END_SECONDS)


def _is_managed(environment: Mapping[str, str]) -> bool:
    """The window manager says so at the root window."""
    command = ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]
    try:
        found = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return "window id" in found.stdout


def screenshot_folder() -> Path | None:
    """Where pictures of the documentation go; None: nobody wants them."""
    wanted = os.environ.get("PICTURES")
    return Path(wanted) if wanted else None
