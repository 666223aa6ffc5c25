"""The watching side of the service: inboxes, their event processors, and the recorder of their claims."""

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
    config: Config, announce: Callable[[Sequence[str]], None] | None = None, *, trust_names: bool = False
) -> Iterator[tuple[Recorder, Pairs]]:
    """Folder sets with their processors, and a thread that records their claims. `announce` gets the ids of claims
    after each commit. All claims are recorded before the block ends."""
    recorder = Recorder(config, announce)
    context.put(Claiming(recorder, trust_names))
    recorder.start()
    try:
        yield recorder, Pairs(lambda: all_folders(config))
    finally:
        recorder.close()
