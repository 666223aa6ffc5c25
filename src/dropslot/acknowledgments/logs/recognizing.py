"""Whether a log has the format that config.yaml names, and what to do with lines that do not have it."""

from __future__ import annotations

from collections.abc import Callable

from dropslot.acknowledgments.logs import blocks
from dropslot.acknowledgments.logs.blocks import Block
from dropslot.acknowledgments.logs.log_sources import Source
from dropslot.acknowledgments.logs.open_logs import opened
from dropslot.acknowledgments.logs.rotation import newest_first
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

# If so many lines all have another format, that is no accident, even if earlier lines had this one.
MANY = 20
RECENT = 20


class WrongFormat(DropslotError):
    """A log does not have the format that config.yaml names. Reading continues there once that is corrected."""

    code = "log-format"
    retryable = True


def recent_lines(source: Source, most: int = RECENT) -> list[bytes]:
    """The last `most` lines of a log; of a rotated file if the log itself is empty. Raises LogUnready, and
    FileNotFoundError when its folder is missing."""
    for name in newest_first(source):
        try:
            with opened(source, name) as file:
                lines = blocks.last_lines(file)
        except FileNotFoundError:
            continue
        if lines:
            return lines[-most:]
    return []


class Recognizer:
    """Judges blocks for one run. `foreign`: the number of skipped lines in an earlier format."""

    def __init__(self, log: str, source: Source, reads: Callable[[bytes], bool]) -> None:
        self._log, self._source, self._reads = log, source, reads
        self._is_right: bool | None = None
        self.foreign = 0

    def recognizes(self, block: Block) -> bool:
        """Whether any line of a block can be read: a few are tried first, then all."""
        return any(map(self._reads, blocks.sample(block.data))) or any(
            len(line) <= blocks.LONGEST_LINE and self._reads(line) for line in block.data.split(b"\n")[:-1]
        )

    def pass_over(self, block: Block, *, remains: bool) -> int:
        """How many lines a block has, none of which can be read. `remains`: they may be the damaged end of a rotated
        file, which nothing follows. Raises WrongFormat unless the newest lines can be read: then the format was
        changed since.
        """
        count = block.data.count(b"\n")
        if remains and count < MANY:
            return count
        if self._is_right is None:
            self._is_right = any(map(self._reads, recent_lines(self._source)))
        if not self._is_right:
            raise self._wrong(block, count)
        self.foreign += count
        return count

    def _wrong(self, block: Block, count: int) -> WrongFormat:
        first = escape(block.data[:200].partition(b"\n")[0].decode("utf-8", "surrogateescape"))
        return WrongFormat(
            f"None of the {count:,} lines that come next in log {escape(self._log)} has the format that config.yaml"
            f" gives; the first is: {first}",
            where="Nothing of these lines was taken; they are read again once the format is right",
            next_step="Set `format` of this log to the server's LogFormat for it",
        )
