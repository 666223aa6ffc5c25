"""A combined log of 1,000,000 lines of which 1 % ask for a delivery, read by `start_log_reader`; its peer is apachelogs
over every line of the same log, and what it finds must be the same."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import unquote

from apachelogs import COMBINED, InvalidEntryError, LogParser

from benchmarks.report import Row

_SOURCE = Path(__file__).parent.parent / "src"
_LINES = 1_000_000
_FILES = 500
_LIMIT_A_SECOND = 150_000
_SIZE = 4096
_CONFIG = """
data: ./var
routes:
  results:
    folders: ./results
    takes: files
    name: '(?P<folder>clinic[0-9]+)-.*'
    deliver: [{{to: './sent/{{folder}}', manifest: none}}]
    acknowledge:
      - log: {log}
        match: '/results/{{folder}}/{{stored_name}}'
        users: {{{users}}}
"""
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "curl/8.5.0", "-")
_CLINICS = [f"clinic{number}" for number in range(10)]


def measure(scratch: Path, trials: int) -> list[Row]:
    """Lines a second of a whole run of the command; peak memory at this size and at four times of it."""
    slot = _Slot(scratch / "logs")
    once, peak_once = slot.log("once.log", _LINES), 0
    rates = []
    for _ in range(trials):
        seconds, peak_once = slot.read(once)
        rates.append(_LINES / seconds)
    found, theirs = slot.acknowledged(), _by_apachelogs(once, slot.names)
    if found != theirs.found:
        raise RuntimeError(f"apachelogs finds {len(theirs.found)} acknowledgments, dropslot {len(found)}")
    fourfold = slot.log("fourfold.log", 4 * _LINES)
    seconds, peak_fourfold = slot.read(fourfold)
    rate = median(rates)
    words = f"apachelogs, every line ({rate / theirs.rate:.1f} ×, the same {len(found):,} acknowledgments)"
    return [
        Row("log lines read, 1 % match", f"{rate:,.0f}/s", words, f"{theirs.rate:,.0f}/s", rate, _LIMIT_A_SECOND, "/s",
            at_most=False),
        Row("peak memory, log four times as long", f"{peak_fourfold / 1e6:.0f} MB", "the log itself",
            f"{peak_once / 1e6:.0f} MB", peak_fourfold / peak_once, 1.1),
        Row("log lines read, 4,000,000 of them", f"{4 * _LINES / seconds:,.0f}/s", "the log itself",
            f"{rate:,.0f}/s", None, 0),
    ]  # fmt: skip


class _Theirs:
    """What a pass with apachelogs over every line finds, and its lines a second."""

    def __init__(self, found: set[tuple[str, str, str]], rate: float) -> None:
        self.found, self.rate = found, rate


def _by_apachelogs(log: Path, delivered: frozenset[str]) -> _Theirs:
    """One parse a line, then the same rules, written down a second time: GET, 200, whole, by the folder's own user."""
    parser = LogParser(COMBINED, encoding="utf-8")
    address = re.compile(r"GET /results/([^/]+)/([^/ ?]+) HTTP/1\.1")
    found, begun, lines = set(), time.perf_counter(), 0
    with log.open("rb") as stream:
        for line in stream:
            lines += 1
            try:
                entry = parser.parse(line.decode())
            except InvalidEntryError:
                continue
            asked = address.fullmatch(entry.request_line or "")
            if not asked or entry.final_status != 200 or (entry.bytes_sent or 0) < _SIZE:
                continue
            folder, name = asked[1], unquote(asked[2])
            if entry.remote_user == f"user-{folder}" and name in delivered and name.startswith(f"{folder}-"):
                at = entry.request_time.astimezone(UTC).isoformat().replace("+00:00", "Z")
                found.add((name, entry.remote_user, at))
    return _Theirs(found, lines / (time.perf_counter() - begun))


class _Slot:
    """An installation with 500 deliveries to ten clinics."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("inbox", "processing", "done", "failed"):
            (root / "results" / name).mkdir(parents=True)
        (root / "sent").mkdir()
        self._configure(root / "none.log")
        names = (f"{_CLINICS[number % len(_CLINICS)]}-result {number}.pdf" for number in range(_FILES))
        self.names = frozenset(names)
        for name in self.names:
            (root / "results" / "inbox" / name).write_bytes(os.urandom(_SIZE))
        for clinic in _CLINICS:
            (root / "sent" / clinic).mkdir()
        self._run("drain", "--now")
        (root / "var").rename(root / "var.delivered")

    def log(self, name: str, lines: int) -> Path:
        """A log with a fixed seed: 1 % ask for what was delivered, in one way or another."""
        path, chance = self._root / name, random.Random(3)
        at = datetime.now(UTC)
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for number in range(lines):
                stream.write(_line(chance, number, at + timedelta(seconds=number // 500)))
        return path

    def read(self, log: Path) -> tuple[float, int]:
        """Seconds of a run (the command's start included), and its peak RSS in bytes; begins anew each time."""
        shutil.rmtree(self._root / "var", ignore_errors=True)
        shutil.copytree(self._root / "var.delivered", self._root / "var")
        self._configure(log)
        self._run("history", "--json")  # the database is warm, as it is for a service
        begun = time.perf_counter()
        usage = self._run("start_log_reader")
        return time.perf_counter() - begun, usage

    def acknowledged(self) -> set[tuple[str, str, str]]:
        """Stored name, user and time of every acknowledgment."""
        done = subprocess.run(
            self._command("acknowledgments", "--json"), env=_environment(), capture_output=True, check=True
        )  # fmt: skip
        rows = map(json.loads, done.stdout.splitlines())
        return {(row["stored_as"], row["user"], row["at"]) for row in rows}

    def _configure(self, log: Path) -> None:
        users = ", ".join(f"user-{clinic}: {clinic}" for clinic in _CLINICS)
        (self._root / "config.yaml").write_text(_CONFIG.format(log=log, users=users))

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "dropslot", *arguments, "-c", str(self._root / "config.yaml")]

    def _run(self, *arguments: str) -> int:
        """A command to its end; its peak RSS in bytes."""
        with subprocess.Popen(
            self._command(*arguments),
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{arguments} ended with {process.returncode}")
        return usage.ru_maxrss * 1024


def _environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("DROPSLOT_", "DJANGO_"))
    }
    return kept | {"PYTHONPATH": str(_SOURCE)}


def _line(chance: random.Random, number: int, at: datetime) -> str:
    clinic = _CLINICS[number // 100 % len(_CLINICS)]
    user, status, size, method = "-", 200, chance.randrange(100_000), "GET"
    target = f"/static/app-{chance.randrange(10_000)}.js?v={chance.randrange(100)}"
    if number % 100 == 0:
        known = chance.randrange(_FILES // len(_CLINICS)) * len(_CLINICS) + number // 100 % len(_CLINICS)
        # One in twenty was never sent.
        name = f"{clinic}-result%20{known if chance.random() < 0.95 else known + 1}.pdf"
        target, user = f"/results/{clinic}/{name}", f"user-{clinic}"
        status, method = chance.choice((200,) * 9 + (304,)), chance.choice(("GET",) * 9 + ("HEAD",))
        size = _SIZE if status == 200 and method == "GET" else 0
    when = at.strftime("%d/%b/%Y:%H:%M:%S +0000")
    address = f"10.{number % 250}.{number // 250 % 250}.7"
    agent = _AGENTS[number % len(_AGENTS)]
    return (
        f'{address} - {user} [{when}] "{method} {target} HTTP/1.1" {status} {size or "-"}'
        f' "https://edc.example.org/page/{number % 97}" "{agent}"\n'
    )
