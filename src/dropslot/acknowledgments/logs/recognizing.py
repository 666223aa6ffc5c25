"""Whether a log has the format that config.yaml names, and what to do with lines that do not."""

from __future__ import annotations

from collections.abc import Callable

from dropslot.acknowledgments.logs import blocks
from dropslot.acknowledgments.logs.blocks import Block
from dropslot.acknowledgments.logs.opening import opened
from dropslot.acknowledgments.logs.rotation import newest_first
from dropslot.acknowledgments.logs.sources import Source
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape

# So many lines that are all of another format are no accident, though lines before them were of this one.
MANY = 20
RECENT = 20


class WrongFormat(DropslotError):
    """A log is not of the format that config.yaml says. It is read from there on once that is corrected."""

    code = "log-format"
    retryable = True


def recent_lines(source: Source, most: int = RECENT) -> list[bytes]:
    """The last lines of a log, `most` of them, those of a rotated file while it is empty itself. Raises LogUnready, and
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
    """Judges blocks for one run. `foreign`: lines of another format, written before this one was, that were passed
    over."""

    def __init__(self, log: str, source: Source, reads: Callable[[bytes], bool]) -> None:
        self._log, self._source, self._reads = log, source, reads
        self._is_right: bool | None = None
        self.foreign = 0

    def recognizes(self, block: Block) -> bool:
        """Whether any line of a block can be read: a few are tried, all only when none of these can."""
        return any(map(self._reads, blocks.sample(block.data))) or any(
            len(line) <= blocks.LONGEST_LINE and self._reads(line) for line in block.data.split(b"\n")[:-1]
        )

    def pass_over(self, block: Block, *, remains: bool) -> int:
        """How many lines a block has, none of which can be read. `remains`: they may be the damaged end of a rotated
        file, which no better one will follow.

        Raises WrongFormat unless what is written now can be read: then the format was another one at that time.
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
