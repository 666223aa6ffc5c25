"""Arrivals that are not done: one of each state that an operator may meet, and of several senders."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from pathlib import Path

from installation import Installation, say
from servers import Servers

_ROUTES = """
  scans:                            # a slow line, so that there is something to watch
    folders: ./scans
    takes: directories
    deliver:
      - to: {address}{scans}
        key: {folder}/key
        known_hosts: {folder}/known_hosts
        limit: 100KB/s
  away:                             # a server that does not answer, so that something is being retried
    folders: ./away
    takes: files
    deliver:
      - to: sftp://nobody@127.0.0.1:1/incoming
        key: {folder}/key
        known_hosts: {folder}/known_hosts
"""
_SLOW_BYTES = 30_000_000
_MODES = {"inbox": 0o3773, "processing": 0o700, "done": 0o700, "failed": 0o700}


def prepare(installation: Installation, servers: Servers) -> None:
    """Once: two more routes, and their folders."""
    scans = servers.folder / "scans"
    if scans.exists():
        return
    scans.mkdir()
    more = _ROUTES.format(address=servers.address, folder=servers.folder, scans=scans)
    installation.config.write_text(installation.config.read_text() + more)
    for route in ("scans", "away"):
        for name, mode in _MODES.items():
            folder = installation.folder / route / name
            folder.mkdir(parents=True)
            folder.chmod(mode)


def demonstrate(installation: Installation) -> None:
    """Drop what waits, what is refused, and with servers what takes long and what is retried."""
    say("[bold]Other states.[/bold] Dropping what is not whole yet, what is refused, what takes long, and what a"
        " server does not take.\n")  # fmt: skip
    stamp = str(int(time.time()) % 1_000_000)
    _drop(installation, "study", f"heart-pc17-visit{stamp}", {"scan.nii.gz.part": b"half"}, "daemon")
    _drop(installation, "study", f"Untitled {stamp}", {"notes.txt": b"which study?"}, "nobody")
    if not (installation.folder / "scans").exists():
        return
    _drop(installation, "results", f"066-12{stamp:>06}-8.pdf", b"This is a text, not a PDF.", "nobody")
    _drop(
        installation,
        "results",
        f"066-99{stamp:>06}-1.pdf",
        b"%PDF-1.4 of a clinic that is not known",
        "daemon",
    )
    _drop(installation, "scans", f"series-{stamp}", {"large.raw": os.urandom(_SLOW_BYTES)}, "daemon")
    _drop(installation, "away", f"report-{stamp}.txt", b"report", "nobody")


def _drop(
    installation: Installation, route: str, name: str, content: bytes | dict[str, bytes], sender: str
) -> None:
    """By one rename; root drops in the name of another account."""
    path = installation.folder / route / f".{name}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        for item, data in content.items():
            (path / item).write_bytes(data)
    _give(path, sender)
    path.rename(installation.folder / route / "inbox" / name)


def _give(path: Path, sender: str) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(sender)
        for each in (path, *path.rglob("*")):
            os.chown(each, account.pw_uid, account.pw_gid)
