"""dropslot's side: an installation on a disk, and its commands."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SOURCE = Path(__file__).parent.parent / "src"
_FOLDERS = {"inbox": 0o3773, "processing": 0o700, "done": 0o700, "failed": 0o700}

# Close to the recipe `study`: the target folder is new.
STUDY: dict[str, Any] = {
    "takes": "directories",
    "name": r"(?P<study>\w+)-.+",
    "deliver": [{"to": "./studies/{study}/raw-data"}],
}
# One folder that all arrivals share, as for result PDFs.
RESULTS: dict[str, Any] = {"takes": "files", "deliver": [{"to": "./studies"}]}


@dataclass(frozen=True)
class Drained:
    """`startup_seconds` is Python, Django and the configuration; `work_seconds` is the rest of the wall time."""

    startup_seconds: float
    work_seconds: float


class Slot:
    """Inbox, processing, done, data and destination are all on the one disk."""

    def __init__(self, disk: Path, route: Mapping[str, Any], **more: Any) -> None:
        """`more` are further keys of config.yaml."""
        self.root = disk / "slot"
        self.inbox = self.root / "route" / "inbox"
        self.done = self.root / "route" / "done"
        self.destination = self.root / "studies"
        self.destination.mkdir(parents=True)
        for name, mode in _FOLDERS.items():
            (self.root / "route" / name).mkdir(parents=True)
            (self.root / "route" / name).chmod(mode)
        config = {"data": "./var", **more, "routes": {"route": {"folders": "./route"} | dict(route)}}
        self.config = self.root / "config.yaml"
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "dropslot", *args, "-c", str(self.config)]

    @property
    def environment(self) -> dict[str, str]:
        # From compiled bytecode, as an installation runs.
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {"PYTHONPATH": str(_SOURCE), "DROPSLOT_CONFIG": str(self.config)}

    def prepare(self) -> None:
        """Make the database; nothing is delivered."""
        self.run("drain", "--now")

    def drain(self) -> Drained:
        """Deliver what is in the inbox. All wall time that drain does not call start-up is work, its end included."""
        begun = time.perf_counter()
        printed = self.run("drain", "--now", "--json")
        wall = time.perf_counter() - begun
        told = json.loads(printed.splitlines()[-1])
        return Drained(told["startup_seconds"], wall - told["startup_seconds"])

    def arrivals(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("arrivals", "--json").splitlines()]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """`dropslot run`, from when it watches its inbox until it is stopped by SIGTERM."""
        address = f"dropslot-bench-{os.getpid()}-{id(self)}"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
            (self.root / "run.log").open("wb") as log,
        ):
            told.bind(f"\0{address}")
            told.settimeout(60)
            environment = self.environment | {"NOTIFY_SOCKET": f"@{address}"}
            process = subprocess.Popen(self.command("run"), stdout=log, stderr=log, env=environment)
            try:
                # READY=1: what is dropped before is found by a scan, and must be quiet for `settle`.
                told.recv(4096)
                yield process
            finally:
                process.terminate()
                process.wait(60)

    def run(self, *args: str) -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(self.command(*args), capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(
                f"dropslot {' '.join(args)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout
