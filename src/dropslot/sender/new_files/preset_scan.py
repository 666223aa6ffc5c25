"""The plan: what of a preset is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dropslot.sender.connecting import place
from dropslot.sender.ledger.known_contents import Known
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.new_files.compare_with_ledger import Comparison, sharing
from dropslot.sender.new_files.in_use import SETTLE_SECONDS, in_use, unquiet
from dropslot.sender.new_files.storable import twins, unstorable
from dropslot.sender.new_files.walking import Walk
from dropslot.sender.plan import LeftFile, NewFile, Plan, Watcher
from dropslot.sender.presets.preset import Folder, Preset
from dropslot.sender.sorting import in_order


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a preset. `subfolders`: these; None: those that the preset selects. `everything`: also
    what was sent before. `again`: also what was refused. `since`: only what was changed since then."""

    subfolders: frozenset[str] | None = None
    exclude: tuple[str, ...] = ()
    everything: bool = False
    again: bool = False
    since: datetime | None = None
    settle_seconds: float = SETTLE_SECONDS


class Unwatched:
    """Nobody waits for the look."""

    def looked(self, files: int) -> None:
        pass

    def hashed(self, source: Path, size_bytes: int) -> None:
        pass

    def check(self) -> None:
        pass


def look(preset: Preset, ledger: Ledger, wish: Wish | None = None, watcher: Watcher | None = None) -> Plan:
    """Look through the folders of a preset. Blocks; raises what the watcher raises, and the errors of the ledger."""
    return _Look(preset, ledger, wish or Wish(), watcher or Unwatched()).plan()


class _Look:
    def __init__(self, preset: Preset, ledger: Ledger, wish: Wish, watcher: Watcher) -> None:
        self.preset, self.ledger, self.wish, self.watcher = preset, ledger, wish, watcher
        self.target = ledger.target(place(preset.access.to), preset.study)
        self.newest = ledger.newest()
        self.sharing = sharing(preset)

    def plan(self) -> Plan:
        comparison, wish = Comparison(self.ledger, self.target, self.watcher, self.sharing), self.wish
        walk = self._walked(Known({}) if wish.everything else comparison.known())
        again, rest = ([], walk.files) if wish.everything else comparison.split(walk.files, again=wish.again)
        candidates, left = self._sendable(self._lately(rest))
        if wish.everything:
            comparison.new = candidates
        else:
            comparison.compare(candidates)
        new = tuple(in_order([*comparison.new, *again], lambda file: file.path))
        known = walk.known + len(candidates) - len(comparison.new)
        left = [*walk.left, *left, *comparison.left]
        planned = None if wish.everything or wish.again else self.newest
        return Plan(self.preset, new, tuple(left), known, self.ledger.waiting(self.target), planned)

    def _walked(self, known: Known) -> Walk:
        walk = Walk(known, self.watcher)
        for folder in filter(self._is_wanted, self.preset.folders):
            exclude = (*self.preset.exclude, *self.wish.exclude)
            walk.add(folder, exclude, self.sharing[folder.subfolder])
        # One by one, which lets other threads work meanwhile.
        walk.files = (
            list(dict.fromkeys(each for each in walk.files)) if len(self.preset.folders) > 1 else walk.files
        )
        return walk

    def _is_wanted(self, folder: Folder) -> bool:
        wanted = self.wish.subfolders
        return folder.selected if wanted is None else folder.subfolder in wanted

    def _lately(self, files: list[NewFile]) -> list[NewFile]:
        if self.wish.since is None:
            return files
        since = self.wish.since.timestamp() * 1e9
        return [file for file in files if file.mtime_ns >= since]

    def _sendable(self, files: list[NewFile]) -> tuple[list[NewFile], list[LeftFile]]:
        """Those that can be sent now; and those that cannot, each with the first reason."""
        questions: tuple[Callable[[list[NewFile]], Iterable[LeftFile]], ...] = (
            lambda rest: unstorable(rest, portable=self.preset.names == "portable"),
            twins,
            in_use,
            lambda rest: unquiet(rest, self.wish.settle_seconds, self.watcher),
        )
        left: list[LeftFile] = []
        for question in questions:
            found = list(question(files))
            sources = {each.source for each in found}
            files = [file for file in files if file.source not in sources] if found else files
            left += found
        return files, left
