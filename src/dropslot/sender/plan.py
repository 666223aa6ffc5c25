"""What a look through a preset's folders found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from dropslot.sender.presets.preset import Preset


class NewFile(NamedTuple):
    """A file to send. `path` is its path in the arrival: `eprime/s01.edat2`; its first part is the subfolder."""

    source: str
    path: str
    size_bytes: int
    mtime_ns: int

    @property
    def subfolder(self) -> str:
        """The first part of its path; empty for a file beside the subfolders."""
        first, slash, _ = self.path.partition("/")
        return first if slash else ""


class LeftFile(NamedTuple):
    """A file that is not sent this time; the reason is a sentence for people. `kind`: `open`, `growing`, `unreadable`,
    `missing`, `name`, `link`, `special`, `changed` or `refused`."""

    source: str
    path: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent, in the order of sending; what is left for next time; how many files are known already."""

    preset: Preset
    new: tuple[NewFile, ...] = ()
    left: tuple[LeftFile, ...] = ()
    known: int = 0
    waiting: int = 0  # of this study: on their way, or uploaded without a receipt yet
    planned: int | None = 0  # the ledger's newest row before the look; None: sent again, whatever is known

    @property
    def size_bytes(self) -> int:
        """Bytes to send."""
        return sum(each.size_bytes for each in self.new)

    def only(self, paths: frozenset[str]) -> Plan:
        """The same with these paths of the arrival alone, as somebody has ticked them."""
        chosen = tuple(each for each in self.new if each.path in paths)
        return replace(self, new=chosen)


class Watcher(Protocol):
    """Is told how a look through the folders goes on. Called often, from the thread that looks."""

    def looked(self, files: int) -> None:
        """So many files were seen."""

    def hashed(self, source: Path, size_bytes: int) -> None:
        """So many more bytes of a file were read to compare it with what is known."""

    def check(self) -> None:
        """Raises an error when the person wants it to end."""
