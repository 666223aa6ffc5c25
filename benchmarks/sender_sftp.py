"""Wall time of `dropslot send` for a tree that was never sent, by SFTP, against programs that copy to servers.

The clock runs for the whole command: it looks what is new, signs in, sends, hashes, syncs each file, compares what the
server has, and gives the bag its name. The peers only send, and with --fsync sync. The server is Debian's sshd on this
machine, near (loopback) or 50 ms away.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.contenders import DD, Timed, dd, must_hold
from benchmarks.disks import run, settle_disk
from benchmarks.remote import CONTENDERS, DROPSLOT, RCLONE, RSYNC, RSYNC_SYNCED, SCP, Case, measure_case
from benchmarks.report import Row
from benchmarks.server import Server
from benchmarks.sources import BIG, FEW, MIXED, Source

CASES = {
    "mixed": Case(MIXED, 0, {SCP: 0.8, RSYNC_SYNCED: 0.8, RSYNC: None}),
    "big": Case(BIG, 0, {SCP: 0.8, RSYNC_SYNCED: 0.8, RSYNC: None, DD: None}),
    "big-cached": Case(BIG, 0, {SCP: 0.8, RSYNC_SYNCED: 0.8, DD: None}, direct=False),
    "far": Case(FEW, 0.05, {RCLONE: 1 / 10, SCP: None, RSYNC: None}),
}


def measure(scratch: Path, trials: int) -> list[Row]:
    """All cases."""
    return [row for key in CASES for row in measure_one(key, scratch, trials)]


def measure_one(key: str, scratch: Path, trials: int) -> list[Row]:
    """One case."""
    return measure_case(CASES[key], scratch, trials, {**CONTENDERS, DROPSLOT: _send, DD: _disk_alone})


def _disk_alone(disk: Path, tree: Path, source: Source, server: Server) -> Timed:  # noqa: ARG001
    """What no program that syncs can do without."""
    return dd(disk, tree, source)


def _send(disk: Path, tree: Path, source: Source, server: Server) -> Timed:
    inbox = disk / "inbox"
    inbox.mkdir()
    inbox.chmod(0o3773)
    os.environ["DROPSLOT_SENDER_HOME"] = str(disk / "sender")
    command = [sys.executable, "-m", "dropslot", "send", str(tree), "--study", "trial", "--subfolder", "raw"]
    command += ["--to", f"sftp://root@127.0.0.1:{server.port}{inbox}", "--no-wait"]
    command += ["--key", str(server.key), "--known-hosts", str(server.known_hosts)]
    settle_disk(disk)
    begun = time.perf_counter()
    run(*command)
    spent = time.perf_counter() - begun
    (bag,) = inbox.iterdir()
    if bag.name.startswith("."):
        raise RuntimeError("the bag has no name")
    must_hold(bag / "data", source)
    return Timed(spent)
