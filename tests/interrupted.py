"""An upload that is killed again and again, at random."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lines import Line, line_to
from sshd import Sshd

PROGRAM = Path(__file__).with_name("sending_program.py")


@dataclass(frozen=True)
class Outcome:
    """`sent_bytes` went over the line in all runs together; `kills` runs were killed on the way."""

    sent_bytes: int
    kills: int


def make_tree(folder: Path, files: int, large_bytes: int, seed: int = 13) -> int:
    """Small files and one large one, all of other bytes; returns their bytes."""
    data, total = random.Random(seed), large_bytes
    for number in range(files):
        inner = folder / f"visit{number // 100:02}"
        inner.mkdir(parents=True, exist_ok=True)
        size = data.randint(0, 100_000)
        (inner / f"trial{number:04}.edat2").write_bytes(data.randbytes(size))
        total += size
    with (folder / "recording.raw").open("wb") as file:
        for start in range(0, large_bytes, 1 << 20):
            file.write(data.randbytes(min(1 << 20, large_bytes - start)))
    return total


def send_killed(server: Sshd, tree: Path, inbox: Path, home: Path, size_bytes: int, kills: int) -> Outcome:
    """Send the tree; the program is killed when certain amounts have gone over the line, which chance chooses."""
    chance = random.Random(kills)
    amounts = sorted(chance.uniform(0, size_bytes) for _ in range(kills))
    with line_to(server.port) as line:
        hosts = home / "line_hosts"
        home.mkdir(exist_ok=True)
        kind, key = server.host_key.with_suffix(".pub").read_text().split()[:2]
        hosts.write_text(f"[127.0.0.1]:{line.port} {kind} {key}\n")
        killed = sum(_run(line, server, tree, inbox, home, hosts, amount) for amount in [*amounts, None])
        return Outcome(line.sent_bytes, killed)


def _run(
    line: Line, server: Sshd, tree: Path, inbox: Path, home: Path, hosts: Path, amount: float | None
) -> bool:
    to = f"sftp://root@127.0.0.1:{line.port}{inbox}"
    program = [sys.executable, str(PROGRAM), "heart", str(tree), to, str(server.key), str(hosts)]
    environment = os.environ | {"DROPSLOT_SENDER_HOME": str(home)}
    process = subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if amount is not None:
        line.crossed, line.limit_bytes = process.kill, amount
    printed, _ = process.communicate(timeout=300)
    line.limit_bytes = float("inf")
    assert process.returncode in (0, -9), printed
    return process.returncode == -9


def digests(folder: Path) -> dict[str, str]:
    """Path and SHA-256 of each file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
