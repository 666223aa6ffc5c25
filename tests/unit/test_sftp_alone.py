"""The SFTP client on a machine that has neither POSIX nor a server's packages, as a collection PC with Windows."""

from __future__ import annotations

import subprocess
import sys

# asyncssh itself knows where it runs: it is loaded before the machine becomes another one.
AS_ON_WINDOWS = """
import asyncssh, importlib, os, pkgutil, sys
for name in ("fcntl", "pwd", "grp", "django", "pydantic", "dropslot.config", "dropslot.files"):
    sys.modules[name] = None
sys.platform = "win32"
for name in ("register_at_fork", "fork", "geteuid", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "pread", "pwrite"):
    delattr(os, name)
import dropslot.sftp
for module in pkgutil.walk_packages(dropslot.sftp.__path__, "dropslot.sftp."):
    importlib.import_module(module.name)
print("loaded")
"""


def test_every_module_loads_without_posix_django_and_pydantic() -> None:
    done = subprocess.run([sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("loaded\n", "")
