"""Debian's own logrotate, run by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

HOW = {
    "renamed": "create 600",
    "compressed": "compress\n create 600",
    "dated": "dateext\n dateformat -%Y%m%d-%s\n create 600",
    "copied": "copytruncate",
    "copied and compressed": "copytruncate\n compress",
    "of its own extension": "extension .log\n create 600",
}


def rotate(log: Path, state_folder: Path, how: str, after: str = "") -> None:
    """Rotate a log in one of the ways of HOW; `after` is a shell command, run when it has its new name."""
    configuration, state = state_folder / "rotate.conf", state_folder / "rotate.state"
    script = f" postrotate\n  {after}\n endscript\n" if after else ""
    configuration.write_text(f"{log} {{\n rotate 9\n nomail\n {HOW[how]}\n{script}}}\n")
    configuration.chmod(0o600)
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "logrotate is not installed; `setup/packages test` installs it as root"
    log.parent.chmod(0o755)  # it refuses folders that others may write to
    command = [program, "--force", "--state", str(state), str(configuration)]
    subprocess.run(command, check=True, capture_output=True)
    if "%s" in HOW[how]:
        _set_apart(log, state)


def _set_apart(log: Path, state: Path) -> None:
    """So that the next rotation within this second has another name."""
    clock = state.with_suffix(".clock")
    count = int(clock.read_text()) + 1 if clock.exists() else 0
    clock.write_text(str(count))
    for made in log.parent.glob("access.log-*"):
        if "-20260101-" not in made.name:
            made.rename(log.parent / f"access.log-20260101-{count:010}")
