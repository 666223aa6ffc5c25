"""Compares what was found with the ledger: by one stat, and by content where a file of this size was sent before."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

from dropslot.sender.ledger.known_contents import Known
from dropslot.sender.ledger.ledger import Ledger, Refusal
from dropslot.sender.local_paths import inode, shown_path
from dropslot.sender.new_files.file_digest import sha256
from dropslot.sender.plan import LeftFile, NewFile, Watcher
from dropslot.sender.presets.preset import Preset


class Comparison:
    """`new` is what was not sent before. What was seen about renamed and touched files goes into the ledger."""

    def __init__(
        self, ledger: Ledger, target: int, watcher: Watcher, sharing: Mapping[str, frozenset[str]]
    ) -> None:
        """`sharing`: see `sharing`."""
        self.ledger, self.target, self.watcher = ledger, target, watcher
        self._sharing = sharing
        self.new: list[NewFile] = []
        self.left: list[LeftFile] = []
        self._refusals = ledger.refusals(target)
        self._sizes: frozenset[int] | None = None
        self._seen: list[tuple[str, str, int, int, int]] = []
        self._gone: set[tuple[str, str]] = set()

    def known(self) -> Known:
        """What one stat shows to be known. What was refused is looked at more closely."""
        return self.ledger.known(self.target, ((each.source, each.subfolder) for each in self._refusals))

    def split(self, files: Sequence[NewFile], *, again: bool) -> tuple[list[NewFile], list[NewFile]]:
        """The files that were refused and are to be sent once more: on demand, or because another file's fault, for
        which the whole arrival was refused, is fixed. And all those that may be new."""
        if not self._refusals:
            return [], list(files)
        seen = {file.source: (file.size_bytes, file.mtime_ns) for file in files}
        fixed = self.ledger.fixed(self.target, self._refusals, seen)
        by_source = defaultdict(list)
        for refusal in self._refusals:
            by_source[refusal.source].append(refusal)
        free, rest, kept = [], [], set()
        for file in files:
            same = next((each for each in by_source[file.source] if self._is_of(each, file)), None)
            if same is None:
                rest.append(file)
            elif again or _is_free(same, fixed):
                free.append(file)
            else:
                kept.add(same)
        self.left += [_still_refused(each) for each in self._refusals if each in kept]
        return free, rest

    def _is_of(self, refusal: Refusal, file: NewFile) -> bool:
        """Whether it is this file that was refused, as it is now."""
        is_same = (refusal.size_bytes, refusal.mtime_ns) == (file.size_bytes, file.mtime_ns)
        return is_same and refusal.subfolder not in self._shared_with(file)

    def _shared_with(self, file: NewFile) -> frozenset[str]:
        return self._sharing.get(file.subfolder, frozenset())

    def compare(self, files: Sequence[NewFile]) -> None:
        """Add to `new` those whose content was not sent before. Equal content at a new path is a copy while the old
        file is there: it is sent. An empty file says nothing by its content, so it is sent too."""
        if files and self._sizes is None:
            self._sizes = self.ledger.sizes(self.target)
        for file in files:
            if file.size_bytes == 0 or file.size_bytes not in (self._sizes or ()) or not self._is_known(file):
                self.new.append(file)
        if self._seen:
            self.ledger.learn(self.target, self._seen, self._gone)

    def _is_known(self, file: NewFile) -> bool:
        try:
            digest = sha256(file.source, self.watcher)
        except OSError:
            return False  # sending it says why it cannot be read
        row = self.ledger.was_sent(self.target, file.source, digest, self._shared_with(file))
        row = row or self._renamed(file, digest)
        if row is not None:
            self._seen.append((file.source, file.subfolder, file.size_bytes, file.mtime_ns, row))
        return row is not None

    def _renamed(self, file: NewFile, digest: str) -> int | None:
        """The row of the file that this one was before it was renamed or moved. Equal content does not say so: a visit
        may have the same form as an earlier one that was removed, and must be complete. So it is the same file only
        with the same inode (which may be used again) and time; in doubt it is sent."""
        now = inode(file.source), file.mtime_ns
        for holder in self.ledger.holders(self.target, digest) if now[0] else ():
            was = holder.source, holder.subfolder
            is_same = (holder.inode, holder.mtime_ns) == now and holder.subfolder not in self._shared_with(
                file
            )
            if is_same and was not in self._gone and not os.path.lexists(holder.source):
                self._gone.add(was)
                return holder.file
        return None


def sharing(preset: Preset) -> Mapping[str, frozenset[str]]:
    """For each subfolder, the others that are filled from the same folder of this PC, or from one within it or around
    it: a file is sent to each of them. What was sent to any other subfolder is known for all."""
    paths = {each.subfolder: os.path.normcase(os.path.abspath(each.path)) for each in preset.folders}
    return {
        one: frozenset(other for other in paths if other != one and _overlap(paths[one], paths[other]))
        for one in paths
    }


def _overlap(one: str, other: str) -> bool:
    return f"{one}{os.sep}".startswith(f"{other}{os.sep}") or f"{other}{os.sep}".startswith(f"{one}{os.sep}")


def _is_free(refusal: Refusal, fixed: frozenset[int]) -> bool:
    return not refusal.is_at_fault and refusal.bag in fixed


def _still_refused(refusal: Refusal) -> LeftFile:
    next_step = "Correct it, or send it again with --again once the server takes it"
    why = f"{shown_path(refusal.source)}: the server refused it: {refusal.reason}. {next_step}"
    return LeftFile(refusal.source, refusal.path, "refused", why)
