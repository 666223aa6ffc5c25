"""Syncing a batch: one call for all drops of a destination. If it fails, the attempts of all these drops are void."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby

from dropslot.arrivals.delivery.work import Leg, Work
from dropslot.core.errors import DropslotError
from dropslot.destinations.base import Destination

Pairs = Sequence[tuple[Work, Leg]]


@contextmanager
def syncing_staged(works: Sequence[Work]) -> Iterator[Callable[[], None]]:
    """Sync what is staged while the block checks and plans: the disk and the processor work at the same time.

    The function that it gives waits for the end; legs whose data is not durable have their `failure` then.
    """
    with ThreadPoolExecutor(1, "sync") as executor:
        future = executor.submit(sync_staged, works)
        yield future.result


def sync_staged(works: Sequence[Work]) -> None:
    """Staged data is on the disk."""
    _each_destination(
        works, lambda destination, pairs: destination.sync_staged([leg.drop for _, leg in pairs])
    )


def sync_names(works: Sequence[Work]) -> None:
    """Published names are on the disk."""
    _each_destination(
        works, lambda destination, pairs: destination.sync_names([leg.drop for _, leg in pairs])
    )


def publish_manifests(works: Sequence[Work]) -> None:
    """The manifest comes last: where it is, all of the arrival is."""

    def publish(destination: Destination, pairs: Pairs) -> None:
        destination.publish_manifests([(leg.drop, leg.manifest) for _, leg in pairs])
        for _, leg in pairs:
            leg.complete = True

    _each_destination(works, publish)


def _each_destination(works: Sequence[Work], act: Callable[[Destination, Pairs], object]) -> None:
    for destination, pairs in _by_destination(works):
        try:
            act(destination, pairs)
        except (DropslotError, OSError) as error:
            for _, leg in pairs:
                leg.failure = error


def _by_destination(works: Sequence[Work]) -> Iterator[tuple[Destination, list[tuple[Work, Leg]]]]:
    legs = [(work, leg) for work in works for leg in work.going_on]
    legs.sort(key=lambda pair: id(pair[1].destination))
    for _, group in groupby(legs, key=lambda pair: id(pair[1].destination)):
        pairs = list(group)
        yield pairs[0][1].destination, pairs
