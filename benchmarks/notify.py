"""One-file arrivals a second while somebody is told of each of them, beside the same with nobody told. Dropslot is its
own peer: notifications must cost deliveries nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import inotify_simple

from benchmarks.disks import fresh_disk
from benchmarks.rate import ARRIVALS, files, seconds_for_all, warm_up
from benchmarks.report import Row
from benchmarks.slot import RESULTS, Slot

_PAIRS = 3  # in each trial: runs of both kinds take turns, since the disk of a machine has its moods
_LIMIT = 0.99
_STORM = 1_000
_STORM_LIMIT = 3
_OPS = "mailto:ops@lab.example"


def measure(scratch: Path, trials: int) -> list[Row]:
    """Medians of the rates, and the messages of a storm."""
    with _mail_server(scratch) as (key, letters):
        told = {"mail": key, "notify": {"done": [_OPS], "failed": [_OPS], "trouble": [_OPS]}}
        ours, theirs = [], []
        for _ in range(trials * _PAIRS):
            theirs.append(_rate(scratch, {}))
            ours.append(_rate(scratch, told))
        with_it, without = median(ours), median(theirs)
        shown = (f"{with_it:.0f}/s", "nobody is told", f"{without:.0f}/s")
        what = "one-file arrivals, somebody is told of each"
        rate = Row(what, *shown, with_it / without, _LIMIT, at_most=False)
        return [rate, _storm(scratch, told, letters)]


def _rate(scratch: Path, keys: dict[str, Any]) -> float:
    with fresh_disk(scratch, payload_bytes=ARRIVALS * 4096, files=ARRIVALS * 4) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0}, **keys)
        slot.prepare()
        outgoing = files(disk / "outgoing", ARRIVALS)
        with slot.running(), inotify_simple.INotify() as inotify:
            inotify.add_watch(slot.done, inotify_simple.flags.MOVED_TO)
            warm_up(slot, inotify)
            return ARRIVALS / seconds_for_all(slot, outgoing, inotify)


def _storm(scratch: Path, keys: dict[str, Any], letters: Path) -> Row:
    """Failures spread over a minute, and what comes in the five minutes afterwards."""
    for old in (letters / "new").iterdir():
        old.unlink()
    with fresh_disk(scratch, payload_bytes=_STORM * 4096, files=_STORM * 8) as disk:
        slot = Slot(disk, RESULTS | {"grace": 0, "name": r"result\d+\.pdf"}, **keys)
        slot.prepare()
        outgoing = files(disk / "outgoing", _STORM)
        with slot.running():
            begun = time.monotonic()
            for number, file in enumerate(sorted(outgoing.iterdir())):
                time.sleep(max(0.0, begun + 60 * number / _STORM - time.monotonic()))
                file.rename(slot.inbox / f"wrong{number}")
            time.sleep(120)
        sent = len(list((letters / "new").iterdir()))
    what = f"messages to one person, {_STORM:,} failures in a minute"
    return Row(what, str(sent), "one message each", str(_STORM), sent, _STORM_LIMIT, "messages")


@contextmanager
def _mail_server(scratch: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """What config.yaml's `mail` says for it, and the folder of its mails."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from ports import free_port  # type: ignore[import-not-found, unused-ignore]

    port, folder = free_port(), scratch / "mails"
    listen = ["-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Mailbox", str(folder)]
    server = subprocess.Popen([sys.executable, "-m", "aiosmtpd", *listen])
    try:
        yield {"server": f"smtp://localhost:{port}", "from": "dropslot@lab.example"}, folder
    finally:
        server.terminate()
        server.wait(10)
