"""Debian's own smbd on a free loopback port, with one share that everybody may write to."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ports import free_port
from waiting import wait_until

_CONFIG = """
[global]
  interfaces = 127.0.0.1
  bind interfaces only = yes
  smb ports = {port}
  map to guest = Bad User
  guest account = {user}
  disable netbios = yes
  load printers = no
  disable spoolss = yes
  private dir = {folder}/private
  lock directory = {folder}/lock
  state directory = {folder}/state
  cache directory = {folder}/cache
  pid directory = {folder}/pid
  ncalrpc dir = {folder}/ncalrpc
  log file = {folder}/log
  server role = standalone server
[inbox]
  path = {share}
  guest ok = yes
  writeable = yes
  force user = {user}
"""


class Samba:
    """A server of the folder `share`, which everybody is `user` for. It ends its whole process group with itself."""

    def __init__(self, folder: Path, share: Path, user: str = "root") -> None:
        self._folder = folder
        folder.mkdir(mode=0o755)
        for name in ("private", "lock", "state", "cache", "pid", "ncalrpc"):
            (folder / name).mkdir(mode=0o755)
        self.port = free_port()
        config = folder / "smb.conf"
        config.write_text(_CONFIG.format(port=self.port, folder=folder, share=share, user=user))
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "smbd",
            "--foreground",
            "--no-process-group",
            "-s",
            str(config),
        ]
        with (folder / "out").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        wait_until(self._answers, what="smbd's start")

    def run(self, *commands: str) -> str:
        """Let smbclient do this, as somebody at a file manager would; its output. A command that fails fails all."""
        command = ["smbclient", "-N", "-p", str(self.port), "//127.0.0.1/inbox", "-c", "; ".join(commands)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "NT_STATUS_" not in done.stdout, done.stdout
        return done.stdout

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"smbd ended:\n{(self._folder / 'out').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True


@pytest.fixture
def make_samba(open_folder: Path) -> Iterator[Callable[[Path], Samba]]:
    """Start a server of a folder."""
    if shutil.which("smbd") is None:
        pytest.skip("samba is not installed; `setup/packages test` installs it as root.")
    made: list[Samba] = []

    def make(share: Path) -> Samba:
        made.append(Samba(open_folder / f"samba{len(made)}", share))
        return made[-1]

    yield make
    for server in made:
        server.stop()
