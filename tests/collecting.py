"""A PC that collects data: its own settings and ledger, a folder of data, and the command `dropslot send`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from inherited import environment
from product import Ended
from sshd import Sshd
from warm import warm

ROUTE: dict[str, Any] = {
    "folders": "./study",
    "takes": "directories",
    "name": r"(?P<study>\w+)-(?P<sent>(\d{8}T\d{6}Z-)?((?P<location>[^-]+)-)?.+)",
    "receipts": "./study/receipts/{sender}",
    "deliver": [{"to": "./studies/{study}"}],
}


class Pc:
    """`root` holds everything; `inbox` is where it sends to."""

    def __init__(self, root: Path, server: Sshd | None = None, inbox: Path | str = "/inbox") -> None:
        self.root, self.server, self.inbox = root, server, inbox
        self.home, self.data = root / "home", root / "data"
        self.data.mkdir(parents=True)

    def write(self, name: str, content: bytes = b"data") -> Path:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))  # quiet, so that no look waits for it
        return path

    @property
    def environment(self) -> dict[str, str]:
        return environment() | {
            "DROPSLOT_SENDER_HOME": str(self.home),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    @property
    def signed_in(self) -> list[str]:
        """Options that reach the inbox without a question."""
        assert self.server
        keys = ["--key", str(self.server.key), "--known-hosts", str(self.server.known_hosts)]
        return ["--to", self.server.url(self.inbox), "--study", "heart", *keys]

    def run(self, *words: str | Path, status: int | None = 0, timeout_seconds: float = 120) -> Ended:
        process = warm(self.environment, str(words[0]))
        done = process.run(list(map(str, words)), self.environment, self.root, timeout_seconds)
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"{words} ended with {done.returncode}, not {status}:\n{done.stdout}{done.stderr}"
            )
        return Ended(done.returncode, done.stdout, done.stderr)

    def send(self, *words: str | Path, status: int | None = 0) -> Ended:
        """Send the folder of data into the subfolder eprime; what else is wanted in `words`."""
        return self.run("send", self.data, "--subfolder", "eprime", *self.signed_in, *words, status=status)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """A command in a process of its own, that can be killed."""
        command = [sys.executable, "-m", "dropslot", *map(str, words)]
        return subprocess.Popen(
            command,
            env=self.environment,
            cwd=self.root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def sent(self, *words: str) -> list[dict[str, Any]]:
        return self.run("sent", "--json", *words).objects


def damage(ledger: Path) -> None:
    """All pages but the first two, as a failing disk leaves them: opening the ledger shows nothing of it."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(ledger.read_bytes())
    content[2 * page :] = b"\xa5" * (len(content) - 2 * page)
    ledger.write_bytes(content)
