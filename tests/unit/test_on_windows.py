"""What a collection PC runs, on a machine that has neither POSIX nor a server's packages, as one with Windows."""

from __future__ import annotations

import subprocess
import sys

# Libraries themselves know where they run: they are loaded before the machine becomes another one.
AS_ON_WINDOWS = """
import asyncssh, importlib, os, pkgutil, requests, signal, sys, typer, rich.progress
for name in ("fcntl", "pwd", "grp", "termios", "django", "structlog", "dropslot.config.models", "dropslot.files"):
    sys.modules[name] = None
sys.platform = "win32"
for name in ("register_at_fork", "fork", "geteuid", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "pread", "pwrite"):
    delattr(os, name)
for name in ("SIGHUP", "SIGPIPE", "SIGKILL", "SIGUSR1"):
    delattr(signal, name)
for name in ("dropslot.sftp", "dropslot.sender", "dropslot.cli.sending"):
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        importlib.import_module(module.name)
from dropslot.cli import run
print(run(["drain"]))
"""


def test_every_module_loads_without_posix_and_django_and_so_does_the_command() -> None:
    done = subprocess.run([sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert "The server's commands run on Linux only" in done.stderr
