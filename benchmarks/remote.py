"""Wall time of a whole tree to a server, against programs that copy to servers.

The server is Debian's sshd on this machine, near (loopback) or 50 ms away. dropslot's files are acknowledged, synced,
compared by size, named and recorded when its clock stops; the peers' are only sent, and with --fsync synced.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import Timed, lay_out, must_hold
from benchmarks.disks import fresh_disk, run, settle_disk
from benchmarks.report import Row, ratio, seconds
from benchmarks.server import Server, serving
from benchmarks.slot import Slot
from benchmarks.sources import BIG, FEW, MIXED, Source

DROPSLOT = "dropslot"
READ_BACK = "dropslot, verify: read-back"
RSYNC = "rsync -a -e ssh"
RSYNC_SYNCED = "rsync -a --fsync -e ssh"
SCP = "scp -r"
RCLONE = "rclone copy --transfers 16 (sftp)"
Contender = Callable[[Path, Path, Source, Server], Timed]
_TRIAL = "trial-of-speed"
_MUCH_SLOWER = 10  # times as long: such a peer is measured once, or it would take all of the time


@dataclass(frozen=True)
class Case:
    """A tree and how far away the server is; `limits` by peer (None: shown without a limit)."""

    source: Source
    round_trip_seconds: float
    limits: dict[str, float | None]
    direct: bool = True  # else the server's disk is behind a page cache

    @property
    def title(self) -> str:
        away = (
            f"{self.round_trip_seconds * 1000:.0f} ms round trip" if self.round_trip_seconds else "loopback"
        )
        return f"{self.source.title}, {away}{'' if self.direct else ', page-cached disk'}"


CASES = {
    "mixed": Case(MIXED, 0, {RSYNC_SYNCED: 0.9, SCP: 0.9, RSYNC: None, READ_BACK: None}),
    "big": Case(BIG, 0, {RSYNC: 0.8, SCP: 0.8, RSYNC_SYNCED: None, READ_BACK: None}),
    "far": Case(FEW, 0.05, {RSYNC: 1.0, SCP: 1 / 20, RCLONE: 1 / 10, READ_BACK: None}),
}


def measure(scratch: Path, trials: int) -> list[Row]:
    """All cases."""
    return [row for key in CASES for row in measure_one(key, scratch, trials)]


def measure_one(key: str, scratch: Path, trials: int) -> list[Row]:
    """One case."""
    return measure_case(CASES[key], scratch, trials, CONTENDERS)


def measure_case(case: Case, scratch: Path, trials: int, contenders: Mapping[str, Contender]) -> list[Row]:
    """Each contender on a fresh disk, in an order that turns with each trial; medians. A peer that takes more than ten
    times as long is measured once."""
    tree = case.source.in_cache(scratch)
    names = [DROPSLOT, *case.limits]
    times: dict[str, list[Timed]] = defaultdict(list)
    for trial in range(trials):
        by = trial % len(names)
        for name in (*names[by:], *names[:by]):
            if trial and times[name][0].work_seconds > _MUCH_SLOWER * times[DROPSLOT][0].work_seconds:
                continue
            times[name].append(_trial(contenders[name], case, tree, scratch))
            shown = seconds(times[name][-1].work_seconds)
            print(f"  {case.title}, trial {trial + 1}, {name}: {shown}", flush=True)
    return _rows(case, times)


def _trial(contender: Contender, case: Case, tree: Path, scratch: Path) -> Timed:
    source = case.source
    with (
        fresh_disk(scratch, payload_bytes=source.size_bytes, files=source.files, direct=case.direct) as disk,
        serving(disk / "server", case.round_trip_seconds) as server,
    ):
        return contender(disk, lay_out(tree, disk), source, server)


def _rows(case: Case, times: dict[str, list[Timed]]) -> list[Row]:
    middle = {name: median(timed.work_seconds for timed in of) for name, of in times.items()}
    rows = [_row(case, peer, middle, limit) for peer, limit in case.limits.items()]
    if startup := median(timed.startup_seconds for timed in times[DROPSLOT]):
        rows.append(Row("… start of drain, shown apart", seconds(startup), "", "", None, 0))
    return rows


def _row(case: Case, peer: str, middle: dict[str, float], limit: float | None) -> Row:
    if limit is not None:
        return ratio(case.title, middle[DROPSLOT], peer, middle[peer], limit)
    if peer == READ_BACK:
        return Row(f"… {peer}", seconds(middle[peer]), "", "", None, 0)
    return Row(f"… {peer}", seconds(middle[DROPSLOT]), peer, seconds(middle[peer]), None, 0)


def _dropslot(disk: Path, tree: Path, source: Source, server: Server, **more: Any) -> Timed:
    target = disk / "there"
    target.mkdir()
    to = {
        "to": f"sftp://root@127.0.0.1:{server.port}{target}/{{study}}/raw-data",
        "create_folders": True,
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
        **more,
    }
    slot = Slot(disk, {"takes": "directories", "name": r"(?P<study>\w+)-.+", "deliver": [to]})
    slot.prepare()
    tree.rename(slot.inbox / _TRIAL)
    settle_disk(disk)
    drained = slot.drain()
    must_hold(target / "trial" / "raw-data", source)
    if [arrival["state"] for arrival in slot.arrivals()] != ["done"]:
        raise RuntimeError("dropslot did not finish the arrival")
    return Timed(drained.work_seconds, drained.startup_seconds)


def _read_back(disk: Path, tree: Path, source: Source, server: Server) -> Timed:
    return _dropslot(disk, tree, source, server, verify="read-back")


def _timed(disk: Path, source: Source, target: Path, command: list[str]) -> Timed:
    settle_disk(disk)
    begun = time.perf_counter()
    run(*command)
    spent = time.perf_counter() - begun
    must_hold(target, source)
    return Timed(spent)


def _rsync(disk: Path, tree: Path, source: Source, server: Server, *options: str) -> Timed:
    target = disk / "there"
    target.mkdir()
    command = ["rsync", "-a", *options, "-e", server.ssh, f"{tree}/", f"root@127.0.0.1:{target}/"]
    return _timed(disk, source, target, command)


def _scp(disk: Path, tree: Path, source: Source, server: Server) -> Timed:
    target = disk / "there"
    command = [
        "scp",
        "-q",
        "-r",
        "-P",
        str(server.port),
        *server.options,
        str(tree),
        f"root@127.0.0.1:{target}",
    ]
    return _timed(disk, source, target, command)


def _rclone(disk: Path, tree: Path, source: Source, server: Server) -> Timed:
    target = disk / "there"
    target.mkdir()
    place = (
        f":sftp,host=127.0.0.1,port={server.port},user=root,key_file={server.key},"
        f"known_hosts_file={server.known_hosts}:{target}"
    )
    command = ["rclone", "copy", "--transfers", "16", "--quiet", "--config", "", str(tree), place]
    return _timed(disk, source, target, command)


CONTENDERS: Mapping[str, Contender] = {
    DROPSLOT: _dropslot,
    READ_BACK: _read_back,
    RSYNC: _rsync,
    RSYNC_SYNCED: lambda *trial: _rsync(*trial, "--fsync"),
    SCP: _scp,
    RCLONE: _rclone,
}
