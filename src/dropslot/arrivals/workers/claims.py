"""The watching side of the service: inboxes, their event processors, and the recorder of what they claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dropslot.arrivals.deliver import Claiming
from dropslot.arrivals.intake.record import Recorder
from dropslot.config import Config
from dropslot.config.folders import all_folders
from dropslot.core import context
from dropslot.watching.processors import Pairs


@contextmanager
def recording(
    config: Config, announce: Callable[[Sequence[str]], None], *, trust_names: bool = False
) -> Iterator[tuple[Recorder, Pairs]]:
    """Folder sets with their processors, and a thread that records what those claim. `announce` gets the ids of
    claims after each commit. What was claimed is recorded before the block is left."""
    recorder = Recorder(config, announce)
    context.put(Claiming(recorder, trust_names))
    recorder.start()
    try:
        yield recorder, Pairs(lambda: all_folders(config))
    finally:
        recorder.close()
