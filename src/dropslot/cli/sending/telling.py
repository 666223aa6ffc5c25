"""What the person at the terminal sees of a send: lines, or JSON; `bars` has the progress on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.sender.engine.listener import Silent, Status
from dropslot.sender.file_states import REFUSED, UPLOADED, SentFile, now
from dropslot.sender.plan import LeftFile, Plan

KEYS = ("file", "size_bytes", "sha256", "state", "at", "arrival", "reason")
_LINE_SECONDS = 10.0


class Told(Silent):
    """Counts what happened: the exit status and the last words follow from it."""

    def __init__(self) -> None:
        self.kept: list[LeftFile] = []
        self.states: dict[tuple[str, str], str] = {}
        self.doubtful: set[tuple[str, str]] = set()  # uploaded, as far as this PC can know

    def left(self, file: LeftFile) -> None:
        self.kept.append(file)

    def changed(self, file: SentFile) -> None:
        key = file.bag, file.file
        self.states[key] = file.state
        (self.doubtful.add if file.state == UPLOADED and file.reason else self.doubtful.discard)(key)

    def count(self) -> Counter[str]:
        """How many files have each state."""
        return Counter(self.states.values())

    def say(self, sentence: str) -> None:
        """Words for people."""
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing more comes."""


class Lines(Told):
    """Plain lines: for pipes and log files."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = time.monotonic()

    def begun(self, bag: str, status: Status) -> None:
        if status.is_continued:
            of_bytes = f"{size(status.bytes_done)} of {size(status.size_bytes)}"
            of_files = f"{status.files_done} of {files(status.files)}"
            self.say(f"Continuing {escape(bag)}: at least {of_files}, {of_bytes}, are at the server.")
        else:
            self.say(f"Sending {files(status.files)}, {size(status.size_bytes)}, as {escape(bag)}.")

    def progressed(self, status: Status) -> None:
        if time.monotonic() - self._shown > _LINE_SECONDS:
            self._shown = time.monotonic()
            self.say(in_words(status))

    def left(self, file: LeftFile) -> None:
        super().left(file)
        self.say(f"Not sent: {_ended(file.reason)}")

    def changed(self, file: SentFile) -> None:
        super().changed(file)
        if file.state == REFUSED:
            self.say(f"Refused: {escape(file.file)}: {_ended(file.reason)}")

    def retrying(self, error: DropslotError, seconds: float) -> None:
        self.say(f"{error} Trying again in {max(seconds, 1):.0f} s; what was sent is kept.")

    def warned(self, sentence: str) -> None:
        sys.stderr.write(f"dropslot: {_ended(sentence)}\n")


class Json(Told):
    """One object a line on stdout; words for people go to stderr."""

    def say(self, sentence: str) -> None:
        sys.stderr.write(f"{sentence}\n")

    def changed(self, file: SentFile) -> None:
        super().changed(file)
        print_json(file)

    def left(self, file: LeftFile) -> None:
        super().left(file)
        print_json(SentFile(file.path, file.source, 0, "", "left", now(), "", "", "", "", file.reason))

    def retrying(self, error: DropslotError, seconds: float) -> None:
        self.say(f"{error} Trying again in {max(seconds, 1):.0f} s.")

    def warned(self, sentence: str) -> None:
        self.say(f"dropslot: {sentence}")


class Changes(Lines):
    """A line for each file that has another state."""

    def changed(self, file: SentFile) -> None:
        self.states[file.bag, file.file] = file.state
        reason = f": {file.reason}" if file.reason else ""
        self.say(f"{file.at}  {file.state}  {escape(file.file)}{reason}")


def print_json(file: SentFile) -> None:
    """A line of `--json`."""
    row = file._asdict()
    sys.stdout.write(json.dumps({key: row[key] for key in KEYS}) + "\n")
    sys.stdout.flush()


def show_plan(plan: Plan, told: Told, *, as_json: bool) -> None:
    """What would be sent."""
    for each in plan.new:
        if as_json:
            print_json(
                SentFile(each.path, each.source, each.size_bytes, "", "new", now(), "", "", "", "", "")
            )
        else:
            told.say(f"new  {size(each.size_bytes):>8}  {escape(each.path)}")
    for left in plan.left:
        told.left(left)
    told.say(
        f"{files(len(plan.new))} would be sent, {size(plan.size_bytes)}; {files(plan.known)} were sent before."
    )


def files(count: int) -> str:
    """`1 file`, `2 files`."""
    return f"{count} file{'s' if count != 1 else ''}"


def in_words(status: Status) -> str:
    """`3 of 12 files, 1.2 MB of 30 MB, 2.0 MB/s, about 14 s left`."""
    left = "" if status.seconds_left is None else f", about {duration(status.seconds_left)} left"
    return (
        f"{status.files_done} of {files(status.files)}, {size(status.bytes_done)} of {size(status.size_bytes)},"
        f" {size(status.rate)}/s{left}"
    )


def duration(seconds: float) -> str:
    """`14 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
