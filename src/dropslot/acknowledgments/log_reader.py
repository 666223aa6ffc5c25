"""Reads one log of one route from where the last run stopped. Each block and its findings are one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from dropslot.acknowledgments.lines import for_format
from dropslot.acknowledgments.logs import blocks, log_sources, marks, rotation
from dropslot.acknowledgments.logs.blocks import Block, Sieve
from dropslot.acknowledgments.logs.log_sources import Source
from dropslot.acknowledgments.logs.open_logs import source_of
from dropslot.acknowledgments.logs.recognizing import Recognizer
from dropslot.acknowledgments.logs.rotation import Part
from dropslot.acknowledgments.matching.delivery_finder import Finder
from dropslot.acknowledgments.matching.judging import Rights
from dropslot.acknowledgments.models import LogReading
from dropslot.acknowledgments.reader_run import Batch, Counts, Run
from dropslot.acknowledgments.record_fetches import Recorder
from dropslot.acknowledgments.section import Acknowledge
from dropslot.checks import BadOption
from dropslot.config import Route
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

log = structlog.get_logger()


class Reader:
    """One `acknowledge` entry of one route. Raises BadOption when it cannot be used as config.yaml says."""

    def __init__(self, route: Route, entry: Acknowledge) -> None:
        self.route, self.entry = route, entry
        try:
            lines = for_format(entry.format)
        except Exception as error:
            raise BadOption(
                f"The format of log {escape(entry.log)} of route {route.key} cannot be used: {error}",
                next_step="Correct it in config.yaml",
            ) from error
        self.finder = Finder(route, entry, lines)
        self._sieve = Sieve(self.finder.match.needle if lines.searchable else b"")
        self._recorder = Recorder(entry.log, Rights(entry.users), entry.users_field)

    def read(self, *, quiet: bool = False, stop: Callable[[], bool] = lambda: False) -> LogReading:
        """Read to the end. A row of the run is written; with `quiet` only if it read something or failed. Raises
        LogUnready, WrongFormat or ReadElsewhere, and the row records it; a kill at any point neither loses nor
        repeats a line.
        """
        run = Run(self.route, self.entry)
        try:
            self._read_all(run, source_of(self.route, self.entry), stop)
        except DropslotError as error:
            run.end(str(error), quiet=quiet)
            raise
        run.end("", quiet=quiet)
        return run.reading

    def _read_all(self, run: Run, source: Source, stop: Callable[[], bool]) -> None:
        recognizer = Recognizer(self.entry.log, source, lambda line: self.finder.read(line)[0])
        # Logs that were rotated before the first run count, too: a fetch of last week is a fetch.
        older = not run.marks and self.finder.has_deliveries()
        try:
            while self._read_parts(run, source, recognizer, stop, older=older) and not stop():
                continue
        except FileNotFoundError as error:
            raise log_sources.vanished(self.entry.log) from error
        finally:
            if recognizer.foreign:
                self._say_foreign(run.reading.unreadable)

    def _read_parts(
        self, run: Run, source: Source, recognizer: Recognizer, stop: Callable[[], bool], *, older: bool
    ) -> bool:
        """Read the files that there are; whether more of them follow."""
        parts = rotation.parts(source, run.marks, older=older)
        if not parts.files:
            raise log_sources.vanished(self.entry.log)
        if run.marks and run.marks[-1].first and not any(part.known for part in parts.files):
            self._say_gap()
        try:
            while parts.files and not stop():
                part = parts.files[0]
                newest = len(parts.files) == 1 and not parts.more
                self._read_part(run, part, recognizer, stop, newest=newest)
                parts.files.pop(0).file.close()
        finally:
            parts.close()
        return parts.more

    def _read_part(
        self, run: Run, part: Part, recognizer: Recognizer, stop: Callable[[], bool], *, newest: bool
    ) -> None:
        # The files before it have been read by now, so that a copy is not read twice.
        mark = part.mark if part.known else marks.mark_of(part.file, run.marks) or part.mark
        if not run.marks:
            run.marks.append(mark)
        batch, size = Batch(mark), part.file.size()
        if size is not None and size < mark.offset:  # truncated in place; new lines come after the cut
            batch.moved = replace(mark, offset=size)
        try:
            for block in blocks.blocks(part.file, batch.moved.offset, skipping=mark.skipping):
                self._look(run, block, batch, recognizer, newest=newest)
                batch.moved = batch.moved.moved(part.file, block.end, skipping=block.skipping)
                if stop():
                    break
                if batch.is_full:
                    batch = self._record(run, batch)
        finally:
            # Also the lines that were read before a fault: they need not be read again.
            batch = self._record(run, batch)
        if size is None and batch.mark.first and not stop():
            run.finish(batch.mark)

    def _record(self, run: Run, batch: Batch) -> Batch:
        """Save the findings of a batch as rows; returns an empty batch."""
        if batch.moved is batch.mark:
            return batch
        hits = self.finder.hits(batch.requests)
        batch.counts.matches = len(hits)
        with run.recording(batch):
            batch.counts.acknowledged, batch.counts.accesses = self._recorder.record(hits)
        return Batch(batch.moved)

    def _look(self, run: Run, block: Block, batch: Batch, recognizer: Recognizer, *, newest: bool) -> None:
        lines, odd, seen = block.data.count(b"\n") + block.skipped, 0, 0
        requests = []
        for line in self._sieve.lines(block.data):
            well, request = (False, None) if len(line) > blocks.LONGEST_LINE else self.finder.read(line)
            odd, seen = odd + (not well), seen + 1
            if request is not None and (wanted := self.finder.wanted(request)):
                requests.append((line, request, wanted))
        if seen > odd or (block.data and recognizer.recognizes(block)):
            run.position.readable = True
        elif block.data:
            odd = recognizer.pass_over(block, remains=run.position.readable and not newest)
        batch.requests += requests
        batch.counts.add(Counts(lines=lines, unreadable=odd + block.skipped))

    def _say_gap(self) -> None:
        log.warning(
            "A log was removed by rotation before it was read to its end; lines may be missing",
            action="log_gap",
            route=self.route.key,
            log=escape(self.entry.log),
        )

    def _say_foreign(self, count: int) -> None:
        log.warning(
            f"{count:,} lines of log {escape(self.entry.log)} could not be read and are skipped: they were written"
            " in another format than it has now",
            action="log_lines_unreadable",
            route=self.route.key,
            lines=count,
        )
