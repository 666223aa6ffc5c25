"""C-STORE: the bytes of each data set go out as they are in its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pynetdicom import build_context
from pynetdicom.association import Association

from dropslot.core.names import escape
from dropslot.destinations.dicom.association import (
    MOST_CONTEXTS,
    associated,
    named_context,
    not_accepted,
    unready,
)
from dropslot.destinations.dicom.peers import Peer
from dropslot.destinations.instances import WARNINGS, Instance, Outgoing, descriptor_path, first_few

Pair = tuple[str, str]  # SOP class and transfer syntax

_FAULTS = {
    0x0110: "processing failure",
    0x0112: "no such SOP instance",
    0x0117: "invalid SOP instance",
    0x0122: "it does not store this SOP class",
    0x0124: "it does not allow us to store",
}
_OF_FAMILY = {0xA7: "out of resources", 0xA9: "the data set does not fit its SOP class"}
_CANNOT_UNDERSTAND = "it cannot understand the data set"


def negotiate(peer: Peer, instances: Sequence[Instance]) -> None:
    """Raise DestinationUnready if the node does not accept what these instances need."""
    for pairs in _rounds({pair_of(instance) for instance in instances}):
        with associated(peer, [build_context(*pair) for pair in pairs]) as association:
            if association.rejected_contexts:
                raise not_accepted(peer, association)


def store(peer: Peer, items: Sequence[Outgoing]) -> Mapping[str, int]:
    """Store all items; a lost association is opened again as long as that helps. Returns the warnings that the node
    gave, each with the number of instances. Raises DestinationUnready with the statuses of what it does not have."""
    said: Counter[str] = Counter()
    faults: list[str] = []
    for pairs in _rounds({pair_of(item.instance) for item in items}):
        left: Sequence[Outgoing] = [item for item in items if pair_of(item.instance) in pairs]
        while left:
            rest = _store_some(peer, left, pairs, said, faults)
            if len(rest) == len(left):
                raise unready(peer, f"ended the association before it answered for {escape(rest[0].name)}")
            left = rest
    if faults:
        raise unready(
            peer,
            f"has not stored {len(faults)} of {len(items)} instances: {first_few(faults)}",
            "It is retried, all of it. Look into the node's own log, or ask who runs it",
        )
    return said


def _store_some(
    peer: Peer, items: Sequence[Outgoing], pairs: Sequence[Pair], said: Counter[str], faults: list[str]
) -> Sequence[Outgoing]:
    """Store items in one association; returns those that it was too short for."""
    with associated(peer, [build_context(*pair) for pair in pairs]) as association:
        accepted = _accepted(association)
        for number, item in enumerate(items):
            if pair_of(item.instance) not in accepted:
                faults.append(
                    f"{escape(item.name)}: it does not accept {named_context(*pair_of(item.instance))}"
                )
                continue
            status = _status(association, item)
            if status is None:
                return items[number:]
            if status in WARNINGS:
                said[WARNINGS[status]] += 1
            elif status != 0x0000:
                fault = f"{escape(item.name)}: status {status:04X}, {_meaning(status)}"
                if status >> 8 == 0xA7:  # of all of them, not of this one
                    raise unready(peer, f"has no room: {fault}", "Free space there; it is retried, all of it")
                faults.append(fault)
    return ()


def _status(association: Association, item: Outgoing) -> int | None:
    """The status that the node gave; None if the association ended before."""
    with item.open() as data:
        try:
            answer = association.send_c_store(descriptor_path(data))
        except RuntimeError:  # it is no longer established
            return None
    return int(answer.Status) if "Status" in answer else None


def _meaning(status: int) -> str:
    if status >> 12 == 0xC:
        return _CANNOT_UNDERSTAND
    return _FAULTS.get(status) or _OF_FAMILY.get(status >> 8) or "which is no success"


def pair_of(instance: Instance) -> Pair:
    """What has to be accepted for an instance."""
    return instance.sop_class, instance.transfer_syntax


def _accepted(association: Association) -> set[Pair]:
    return {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in association.accepted_contexts
    }


def _rounds(pairs: set[Pair]) -> Iterator[list[Pair]]:
    """As many pairs as one association may propose, again and again."""
    ordered = sorted(pairs)
    for first in range(0, len(ordered), MOST_CONTEXTS):
        yield ordered[first : first + MOST_CONTEXTS]
