"""One run of a reader: its positions and its counts. Position, row and findings are one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.utils import timezone
from ulid import ULID

from dropslot.acknowledgments.lines import Request
from dropslot.acknowledgments.logs import marks
from dropslot.acknowledgments.logs.marks import Mark
from dropslot.acknowledgments.matching.delivery_finder import Wanted
from dropslot.acknowledgments.models import LogPosition, LogReading
from dropslot.acknowledgments.section import Acknowledge
from dropslot.config import Route
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

# The number of lines for one commit, so that a long log does not wait for the disk at every block.
AT_ONCE = 1000
AT_ONCE_BYTES = 64 << 20


class ReadElsewhere(DropslotError):
    """Another reader moves this position. This one stops; nothing was recorded twice."""

    code = "log-read-elsewhere"
    retryable = True


@dataclass(slots=True)
class Counts:
    """The counts of a block, or of a run."""

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
class Batch:
    """What was read since the last commit: from `mark` to `moved`."""

    mark: Mark
    moved: Mark = field(init=False)
    requests: list[tuple[bytes, Request, Sequence[Wanted]]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self.moved = self.mark

    @property
    def is_full(self) -> bool:
        """Whether it is worth a commit."""
        return len(self.requests) >= AT_ONCE or self.moved.offset - self.mark.offset >= AT_ONCE_BYTES


class Run:
    """The run's position, its sums, and its row once there is something to record."""

    def __init__(self, route: Route, entry: Acknowledge) -> None:
        self.position, _ = LogPosition.objects.get_or_create(route=route.key, log=entry.log)
        self.marks = marks.load(self.position.marks)
        self.reading = LogReading(
            id=str(ULID()),
            route=route.key,
            log=entry.log,
            started_at=timezone.now(),
            before=self.position.marks,
            after=self.position.marks,
        )
        self._counts = Counts()
        self._stored = False

    @contextmanager
    def recording(self, batch: Batch) -> Iterator[None]:
        """Move the position to the end of a batch, together with what the block writes: all of it, or nothing.

        Raises ReadElsewhere.
        """
        moved = marks.replaced(self.marks, batch.mark, batch.moved)
        before = (replace(self._counts), self.reading.after, self.position.turn, self._stored)
        try:
            with transaction.atomic():
                self._move(moved)
                yield
                self._counts.add(batch.counts)
                self.reading.after = marks.dump(moved)
                self._store()
        except BaseException:  # the counts are rolled back, too
            self._counts, self.reading.after, self.position.turn, self._stored = before
            raise
        self.marks = moved

    def finish(self, mark: Mark) -> None:
        """A compressed file was read to its end: it does not grow, and need not be unpacked again."""
        finished = Mark(mark.offset, mark.first, mark.sha256, finished=True)
        moved = marks.replaced(self.marks, mark, finished)
        with transaction.atomic():
            self._move(moved)
        self.marks = moved

    def end(self, error: str, *, quiet: bool) -> None:
        """Write the row; with `quiet` only when it read something, or failed otherwise than the run before."""
        self.reading.error = error
        if self._stored or not quiet or (error and error != self._last_error()):
            self._store()
        if self.marks and not error and not self.position.marks and not self._counts.lines:
            # An empty log was seen: its later lines are read even if it is rotated before the next run.
            with suppress(ReadElsewhere), transaction.atomic():
                self._move(self.marks)

    def _move(self, moved: Sequence[Mark]) -> None:
        """First in the transaction: of two simultaneous readers, the later one stops here."""
        position = self.position
        changed = LogPosition.objects.filter(pk=position.pk, turn=position.turn).update(
            marks=marks.dump(moved), turn=position.turn + 1, readable=position.readable
        )
        if changed != 1:
            raise ReadElsewhere(
                f"Another process is reading log {escape(position.log)} of route {position.route}",
                next_step="Nothing needs to be done here",
            )
        position.turn += 1

    def _store(self) -> None:
        for name, value in self._counts.columns().items():
            setattr(self.reading, name, value)
        self.reading.ended_at = timezone.now()
        self.reading.save(force_insert=not self._stored)
        self._stored = True

    def _last_error(self) -> str:
        rows = LogReading.objects.filter(route=self.reading.route, log=self.reading.log).order_by("-id")
        return rows.values_list("error", flat=True).first() or ""
