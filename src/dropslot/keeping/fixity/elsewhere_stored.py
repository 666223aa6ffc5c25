"""Stored files of arrivals whose inbox only another machine has: their folder may be there as well."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import elsewhere
from dropslot.config import Config
from dropslot.destinations import place_at
from dropslot.keeping.fixity.fixity_report import GONE, Seen

_NOT_HERE = (
    "it is not on this machine, which does not have the inbox that it came through: it is not verified"
)


def of_this_one(config: Config, seen: Sequence[Seen]) -> list[Seen]:
    """What was found, but that a file of such an arrival is gone from a folder of this machine: that says nothing."""
    gone = {one.file.arrival for one in seen if _is_gone_here(one)}
    if not gone or not (away := elsewhere.inboxes(config)):
        return list(seen)
    others = set(Arrival.objects.filter(id__in=gone, inbox__in=away).values_list("id", flat=True))
    return [_put_off(one) if _is_gone_here(one) and one.file.arrival in others else one for one in seen]


def _put_off(seen: Seen) -> Seen:
    return seen._replace(fault=_NOT_HERE, is_away=True)


def _is_gone_here(seen: Seen) -> bool:
    if seen.fault != GONE:
        return False
    destination, _ = place_at(seen.file.url)
    return destination.path_here(seen.file.url, seen.file.stored_as) is not None
