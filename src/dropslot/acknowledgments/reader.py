"""Reads one log of one route, from where it stopped: block by block, each with what was found in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from django.db import transaction
from django.utils import timezone
from ulid import ULID

from dropslot.acknowledgments import blocks, rotation, sources
from dropslot.acknowledgments.blocks import Block, Sieve
from dropslot.acknowledgments.finding import Finder, Wanted
from dropslot.acknowledgments.judging import Rights
from dropslot.acknowledgments.lines import Request, for_format
from dropslot.acknowledgments.models import LogPosition, LogReading
from dropslot.acknowledgments.recording import Recorder
from dropslot.acknowledgments.rotation import Mark, Part
from dropslot.acknowledgments.sources import Source
from dropslot.checks import BadOption
from dropslot.config import Route
from dropslot.config.acknowledging import Acknowledge
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

log = structlog.get_logger()
# So many lines that are all of another format are no accident, though lines before them were of this one.
MANY = 20
# What one commit is made for, so that a long log does not wait for the disk at every block.
AT_ONCE = 1000
AT_ONCE_BYTES = 64 << 20
Found = tuple[bytes, Request, Sequence[Wanted]]


class WrongFormat(DropslotError):
    """A log is not of the format that config.yaml says. It is read from there on once that is mended."""

    code = "log-format"
    retryable = True


class ReadElsewhere(DropslotError):
    """Another reader moves this position; this one stops, and has recorded nothing twice."""

    code = "log-read-elsewhere"
    retryable = True


@dataclass(slots=True)
class Counts:
    """What a block, or a run, came to."""

    lines: int = 0
    matches: int = 0
    unreadable: int = 0
    acknowledged: int = 0
    accesses: int = 0

    def add(self, other: Counts) -> None:
        """Sum up."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def columns(self) -> dict[str, int]:
        """As rows have them."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class _Batch:
    """What was looked through since the last commit: from `mark` to `moved`."""

    mark: Mark
    moved: Mark = field(init=False)
    requests: list[Found] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.moved = self.mark

    @property
    def is_full(self) -> bool:
        return len(self.requests) >= AT_ONCE or self.moved.offset - self.mark.offset >= AT_ONCE_BYTES


@dataclass(slots=True)
class _Run:
    """One run: its position, its row once there is something to say, and its sums."""

    position: LogPosition
    reading: LogReading
    marks: list[Mark]
    stored: bool = False
    counts: Counts = field(default_factory=Counts)


class Reader:
    """One `acknowledge` entry of one route. Raises BadOption when it cannot be used as config.yaml says."""

    def __init__(self, route: Route, entry: Acknowledge) -> None:
        self.route, self.entry = route, entry
        try:
            lines = for_format(entry.format)
        except Exception as error:
            raise BadOption(
                f"The format of log {escape(entry.log)} of route {route.key} cannot be used: {error}",
                next_step="Mend it in config.yaml",
            ) from error
        self._finder = Finder(route, entry, lines)
        self._sieve = Sieve(self._finder.match.needle if lines.searchable else b"")
        self._recorder = Recorder(entry.log, Rights(entry.users), entry.users_field)

    def read(self, *, quiet: bool = False, stop: Callable[[], bool] = lambda: False) -> LogReading:
        """Read to the end. A run's row is written, with `quiet` only when it read or failed.

        Raises LogUnready, WrongFormat or ReadElsewhere, which the row tells too; a kill at any point neither loses
        nor repeats a line.
        """
        position, _ = LogPosition.objects.get_or_create(route=self.route.key, log=self.entry.log)
        run = _Run(position, self._reading(position), rotation.load(position.marks))
        try:
            with sources.source_of(self.entry.log, self.entry.remote_options()) as source:
                self._read_all(run, source, stop)
        except DropslotError as error:
            self._ended(run, str(error), quiet=quiet)
            raise
        self._ended(run, "", quiet=quiet)
        return run.reading

    def _reading(self, position: LogPosition) -> LogReading:
        return LogReading(
            id=str(ULID()),
            route=self.route.key,
            log=self.entry.log,
            started_at=timezone.now(),
            before=position.marks,
            after=position.marks,
        )

    def _read_all(self, run: _Run, source: Source, stop: Callable[[], bool]) -> None:
        try:
            parts = rotation.parts(source, run.marks)
        except FileNotFoundError as error:
            raise sources.vanished(self.entry.log) from error
        if not parts:
            raise sources.vanished(self.entry.log)
        if run.marks and run.marks[-1].first and not any(part.known for part in parts):
            log.warning(
                "A log was rotated away before it was read to its end; lines may be missing",
                action="log_gap",
                route=self.route.key,
                log=escape(self.entry.log),
            )
        try:
            for part in parts:
                self._read_part(run, part, stop, newest=part is parts[-1])
        finally:
            for part in parts:
                with suppress(DropslotError):
                    part.file.close()

    def _read_part(self, run: _Run, part: Part, stop: Callable[[], bool], *, newest: bool) -> None:
        mark = part.mark
        size = part.file.size()
        if size is not None and size < mark.offset:  # cut short in place; what comes is behind the cut
            mark.offset = size
        if not part.known and not run.marks:
            run.marks.append(mark)
        batch = _Batch(mark)
        try:
            for block in blocks.blocks(part.file, mark.offset, skipping=mark.skipping):
                self._look(run.position, block, batch, newest=newest)
                batch.moved = batch.moved.moved(part.file, block.end, skipping=block.skipping)
                if stop():
                    break
                if batch.is_full:
                    batch = self._record(run, batch)
        finally:
            # Also what was looked through before a fault: it need not be read again.
            batch = self._record(run, batch)
        if size is None and batch.mark.first and not stop():
            self._finish(run, batch.mark)

    def _record(self, run: _Run, batch: _Batch) -> _Batch:
        """What was found in a batch, together with the new position: all of it, or nothing. Gives an empty batch."""
        if batch.moved is batch.mark:
            return batch
        hits = self._finder.hits(batch.requests)
        batch.counts.matches = len(hits)
        marks = _replaced(run.marks, batch.mark, batch.moved)
        with transaction.atomic():
            self._move(run, marks)
            batch.counts.acknowledged, batch.counts.accesses = self._recorder.record(hits)
            run.counts.add(batch.counts)
            run.reading.after = rotation.dump(marks)
            self._store(run)
        run.marks = marks
        return _Batch(batch.moved)

    def _look(self, position: LogPosition, block: Block, batch: _Batch, *, newest: bool) -> None:
        lines, odd, seen = block.data.count(b"\n") + block.skipped, 0, 0
        requests = []
        for line in self._sieve.lines(block.data):
            well, request = (False, None) if len(line) > blocks.LONGEST_LINE else self._finder.read(line)
            odd, seen = odd + (not well), seen + 1
            if request is not None and (wanted := self._finder.wanted(request)):
                requests.append((line, request, wanted))
        if seen > odd or any(self._finder.read(line)[0] for line in blocks.sample(block.data)):
            position.readable = True
        else:
            self._judge_format(position, block, lines, newest=newest)
        batch.requests += requests
        batch.counts.add(Counts(lines=lines, unreadable=odd + block.skipped))

    def _judge_format(self, position: LogPosition, block: Block, lines: int, *, newest: bool) -> None:
        """Raise WrongFormat where no line that was looked at is of the format. A few odd ones at the end of a rotated
        file, which no better one will follow, are left behind."""
        sample = blocks.sample(block.data)
        if not sample or (position.readable and not newest and lines < MANY):
            return
        raise WrongFormat(
            f"No line of log {escape(self.entry.log)} is of the format that config.yaml gives; the first is:"
            f" {escape(sample[0][:200].decode('utf-8', 'surrogateescape'))}",
            where="Nothing of these lines was taken; they are read again once the format is right",
            next_step=f"Set `format` of route {self.route.key} to the server's LogFormat for this log",
        )

    def _move(self, run: _Run, marks: Sequence[Mark]) -> None:
        """First of the transaction: of two readers at once, the later one ends here."""
        position = run.position
        moved = LogPosition.objects.filter(pk=position.pk, turn=position.turn).update(
            marks=rotation.dump(marks), turn=position.turn + 1, readable=position.readable
        )
        if moved != 1:
            raise ReadElsewhere(
                f"Another process reads log {escape(self.entry.log)} of route {self.route.key}",
                next_step="Nothing is left to do here",
            )
        position.turn += 1

    def _finish(self, run: _Run, mark: Mark) -> None:
        """A compressed file does not grow: it need not be unpacked again."""
        marks = _replaced(run.marks, mark, Mark(mark.offset, mark.first, mark.sha256, finished=True))
        with transaction.atomic():
            self._move(run, marks)
        run.marks = marks

    def _store(self, run: _Run) -> None:
        for name, value in run.counts.columns().items():
            setattr(run.reading, name, value)
        run.reading.ended_at = timezone.now()
        run.reading.save(force_insert=not run.stored)
        run.stored = True

    def _ended(self, run: _Run, error: str, *, quiet: bool) -> None:
        run.reading.error = error
        if run.stored or not quiet or (error and error != self._last_error()):
            self._store(run)
        if run.marks and not run.position.marks and not run.counts.lines:
            self._note_empty(run)

    def _last_error(self) -> str:
        rows = LogReading.objects.filter(route=self.route.key, log=self.entry.log).order_by("-id")
        return rows.values_list("error", flat=True).first() or ""

    def _note_empty(self, run: _Run) -> None:
        """An empty log was seen: what it holds by then is read even if it is rotated before the next run."""
        with suppress(ReadElsewhere), transaction.atomic():
            self._move(run, run.marks)


def _replaced(marks: Sequence[Mark], mark: Mark, moved: Mark) -> list[Mark]:
    """The marks with one moved on, in its place; that of a file which is new comes last."""
    kept = [moved if known is mark else known for known in marks if known.first or known is mark]
    return kept if any(known is moved for known in kept) else [*kept, moved]
