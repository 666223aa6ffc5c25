"""Completion against any order of events: what it hands out is final, quiet or renamed, and nothing is left behind."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dropslot.watching.completion import Completion
from lanes import examples
from watched import folder_set

NAMES = ("a", "b", "a.part")
SETTLE = 5.0


class Uploads(RuleBasedStateMachine):
    """Senders write, rename and remove; events come or get lost; scans come. Taking is a rename, as in the product."""

    @initialize(preset=st.sampled_from(["renamed", "settled", "named"]))
    def begin(self, preset: str) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="dropslot-test-"))
        folders = folder_set(self.base, complete=preset, settle=SETTLE)
        self.preset, self.inbox = preset, folders.inbox
        self.completion = Completion(folders.route, folders.inbox)
        self.now = 0.0
        self.touched: dict[str, float] = {}
        self.renamed: set[str] = set()
        self.taken = 0

    def teardown(self) -> None:
        shutil.rmtree(getattr(self, "base", "/nonexistent"), ignore_errors=True)

    @rule(name=st.sampled_from(NAMES), heard=st.booleans())
    def write(self, name: str, heard: bool) -> None:
        is_new = not (self.inbox / name).exists()
        with (self.inbox / name).open("ab") as file:
            file.write(b"x")
        self.touched[name] = self.now
        if is_new:
            self.renamed.discard(name)
            if heard:
                self.completion.noticed(name, "created", self.now)

    @rule(source=st.sampled_from(NAMES), final=st.sampled_from(NAMES))
    def rename(self, source: str, final: str) -> None:
        if source != final and (self.inbox / source).exists():
            (self.inbox / source).rename(self.inbox / final)
            self.touched[final] = self.now
            self.renamed -= {source, final}
            if source == "a.part":  # from a final name it is no sign of the end
                self.renamed.add(final)
            self.completion.gone(source)
            self.completion.moved(final, source, self.now)

    @rule(name=st.sampled_from(NAMES), heard=st.booleans())
    def remove(self, name: str, heard: bool) -> None:
        if (self.inbox / name).exists():
            (self.inbox / name).unlink()
            self.renamed.discard(name)
            if heard:
                self.completion.gone(name)

    @rule()
    def scan(self) -> None:
        self.completion.scanned([entry.name for entry in self.inbox.iterdir()], self.now)

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 5.0, 6.0]))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.completion.next_look()) is not None and due <= end:
            self.now = max(self.now, due)
            self.take()
        self.now = end

    def take(self) -> None:
        for judged in self.completion.complete(self.now):
            settled = self.preset == "settled"
            assert settled or judged.name != "a.part", "a temporary name is never complete"
            trusted = self.preset == "named" or (self.preset == "renamed" and judged.name in self.renamed)
            assert trusted or self.now - self.touched[judged.name] >= SETTLE, "it was not quiet"
            (self.inbox / judged.name).rename(self.base / f"taken{self.taken}")
            self.taken += 1
            self.renamed.discard(judged.name)
            self.completion.gone(judged.name)

    @invariant()
    def a_scan_and_quiet_take_everything_final(self) -> None:
        """Checked on what a later scan would do, without doing it: all that is waited for is on the agenda."""
        if not hasattr(self, "completion"):
            return
        waited = {waiting.name for waiting in self.completion.waiting() if not waiting.name.endswith(".part")}
        assert not waited or self.completion.next_look() is not None

    @rule()
    def finish(self) -> None:
        self.scan()
        self.wait(3 * SETTLE)
        assert {entry.name for entry in self.inbox.iterdir()} <= {"a.part"}


TestUploads = pytest.mark.deep(Uploads.TestCase)
TestUploads.settings = settings(
    max_examples=examples(20, 60),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
