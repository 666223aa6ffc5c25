"""The watching side of the service: inboxes, their event processors, and the recorder of their claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from dropslot.arrivals.deliver import Claiming, always
from dropslot.arrivals.intake.record import Recorder
from dropslot.arrivals.workers.inbox_duties import InboxDuties
from dropslot.config import Config
from dropslot.config.route_folders import all_folders
from dropslot.core import context
from dropslot.watching.processors import Pairs


@contextmanager
def recording(
    config: Config,
    announce: Callable[[Sequence[str]], None] | None = None,
    *,
    trust_names: bool = False,
    inboxes: InboxDuties | None = None,
) -> Iterator[tuple[Recorder, Pairs]]:
    """Folder sets with their processors, and a thread that records their claims. `announce` gets the ids of claims
    after each commit. `inboxes`: only of those that this process is to watch; by default of all. All claims are
    recorded before the block ends."""
    recorder = Recorder(config, announce)
    find = inboxes.find if inboxes else partial(all_folders, config)
    acts = inboxes.acts if inboxes else always
    context.put(Claiming(recorder, trust_names, acts))
    recorder.start()
    try:
        yield recorder, Pairs(find, acts)
    finally:
        recorder.close()
