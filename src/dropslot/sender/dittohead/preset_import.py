"""Presets of dittohead become presets of settings.yaml; files that it sent are not sent again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.showing.quantities import counted
from dropslot.sender.connecting import Access, place
from dropslot.sender.dittohead import dittohead_files
from dropslot.sender.dittohead.adopt_sent import adopt
from dropslot.sender.dittohead.dittohead_files import OldPreset
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.new_files.preset_scan import Unwatched
from dropslot.sender.new_files.walking import Walk
from dropslot.sender.presets.preset import STUDY, Folder, Preset
from dropslot.sender.presets.save_presets import save_preset

_NO_SUBDIRECTORY = "data"


@dataclass(frozen=True, slots=True)
class Importing:
    """From a presets.yaml into the settings and the ledger of this PC. `to`: the inbox; empty: what dittohead had."""

    presets: Path
    settings: Path
    ledger: Ledger
    to: str = ""

    def run(self) -> Iterator[str]:
        """Take over each preset: a sentence for each. It may be run again. Raises NotDittoheads, BadAddress,
        PresetMistakes, SettingsUnwritable, and the errors of the ledger."""
        found = dittohead_files.presets(self.presets)
        to = self.to or dittohead_files.inbox(self.presets)
        if not to:
            raise DropslotError(
                f"There is no config.yaml of dittohead beside {escape(str(self.presets))}, so the inbox is not known",
                where="Nothing was taken over",
                next_step="Add --to, for instance --to sftp://drop.lab.example/inbox",
            )
        place(to)
        for old in found:
            yield self._take_over(old, Access(to))

    def _take_over(self, old: OldPreset, access: Access) -> str:
        shown = escape(old.name or "without a name")
        if why := _fault(old):
            return f"Left out: {shown}: {why}."
        subfolder = old.subdirectory.strip("/\\").replace("/", "_").replace("\\", "_") or _NO_SUBDIRECTORY
        folder = Folder(subfolder, Path(old.local_directory))
        save_preset(self.settings, Preset(old.name, old.study, access, (folder,)))
        count = self._mark_sent(old, folder, access)
        sent = (
            f" {counted(count, 'file')} that dittohead sent will not be sent again." if old.last_time else ""
        )
        return f"Taken over: {shown}, study {old.study}: {escape(old.local_directory)} as {escape(subfolder)}.{sent}"

    def _mark_sent(self, old: OldPreset, folder: Folder, access: Access) -> int:
        if old.last_time is None:
            return 0
        target = self.ledger.target(place(access.to), old.study)
        known = self.ledger.known(target)
        walk, newest = Walk(known, Unwatched()), old.last_time.timestamp() * 1e9
        walk.add(folder)
        files = [file for file in walk.files if file.mtime_ns <= newest and known.get(file.source) is None]
        return adopt(self.ledger, target, access, files, "dittohead sent it", old.last_time)


def _fault(old: OldPreset) -> str:
    if not old.name:
        return "it has no name"
    if not STUDY.fullmatch(old.study):
        return "its study is empty, or has other characters than letters, digits and _"
    return "" if old.local_directory else "it has no local directory"
