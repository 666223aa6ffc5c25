"""For places that take DICOM instances: nodes and DICOMweb services. Neither has folders or names, and neither takes
anything that is not an instance.

What an item is, is read before anything is sent: an arrival with an item that can never be sent is refused whole. Its
bytes are not decoded here; the process without rights tells the UIDs.
"""

from __future__ import annotations

import os
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple

from dropslot.contents.base import Staged
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.core.showing.quantities import chunks
from dropslot.destinations.base import ONLY_ACKNOWLEDGED, SAID, Drop, Planned, Target
from dropslot.destinations.whole_items import Receiver, SpooledDrop
from dropslot.dicom_files.file_meta import data_set_begins_at
from dropslot.dicom_files.headers import Header, NotDicom, read_headers

_AGAIN_AFTER_SECONDS = (0.5, 1, 2, 4, 8)
# What a place did with an instance that it has (PS3.4, table B.2-1).
WARNINGS = {
    0xB000: "B000, it changed some attributes",
    0xB006: "B006, it left out some attributes",
    0xB007: "B007, it found that the data set does not fit its SOP class",
}
SENT_AGAIN = "They are sent again. Look into its own log, or ask who runs it"
_AT_ONCE = 500  # headers in memory
_UID = re.compile(r"[0-9.]{1,64}")
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "TransferSyntaxUID")
_SAME = (
    ("MediaStorageSOPClassUID", "SOPClassUID"),
    ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
)
_LEAVE_OUT = (
    "Name such files in the route's `ignore` if they need not be sent, or deliver them to a folder by a route"
)


class Instance(NamedTuple):
    """The UIDs of one instance, and whether its data set has an odd number of bytes."""

    sop_class: str
    sop_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax: str
    is_odd: bool = False


class Outgoing(NamedTuple):
    """One item on its way. `open` raises TakenOver if another worker has its arrival now."""

    name: str
    instance: Instance
    open: Callable[[], BinaryIO]


class InstanceReceiver(Receiver):
    """A place that takes instances, and tells nothing about bytes that it has."""

    @abstractmethod
    def admit(self, target: Target, instances: Mapping[str, Instance]) -> None:
        """Raise DestinationUnready if the place does not take all of these items now, and Refused if it never can.
        Nothing has been sent yet."""

    @abstractmethod
    def send_instances(self, target: Target, items: Sequence[Outgoing]) -> Mapping[str, int]:
        """Send all of them; on return each is stored there, as far as `proofs` says. Returns what the place said about
        stored ones, and of how many. An instance may come more than once, with the same bytes. Raises
        DestinationUnready."""

    def open(self, target: Target, arrival: str, epoch: int, name: str) -> InstancesDrop:
        return InstancesDrop(self, target, arrival, epoch, name)

    def open_checked(self, target: Target, arrival: str, epoch: int, name: str) -> Drop:
        return self.open(target, arrival, epoch, name)  # `admit` asks the place, once it is known for what

    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:  # noqa: ARG002
        opened = partial(open_again, data)
        self.send_instances(target, [Outgoing(name, read_instances([(name, opened)])[name], opened)])
        return True


class InstancesDrop(SpooledDrop):
    """One arrival on its way to such a place."""

    destination: InstanceReceiver

    def __init__(
        self, destination: InstanceReceiver, target: Target, arrival: str, epoch: int, name: str
    ) -> None:
        super().__init__(destination, target, arrival, epoch, name)
        self._instances: dict[str, Instance] = {}
        self._said: Mapping[str, int] = {}

    @property
    def proved(self) -> frozenset[str]:
        own = self.destination.proofs
        only = frozenset[str]() if len(own) > 1 else {ONLY_ACKNOWLEDGED}
        return own | only | {f"{SAID} {words}, of {count}" for words, count in self._said.items()}

    def admit(self, items: Sequence[Staged]) -> None:
        self._instances = read_instances(
            [(item.path, partial(self.open_staged, item.path)) for item in items],
            {item.path: item.sha256 for item in items},
        )
        self.destination.admit(self.target, self._instances)

    def send(self, plan: Sequence[Planned]) -> list[Planned]:
        items = [
            Outgoing(each.stored_as, self._instances[each.path], partial(self.open_staged, each.path))
            for each in plan
        ]
        if items:
            self._said = self.destination.send_instances(self.target, items)
        return []


def read_instances(
    items: Sequence[tuple[str, Callable[[], BinaryIO]]], digests: Mapping[str, str] | None = None
) -> dict[str, Instance]:
    """What each item is, by its name. Raises Refused if one of them can never be sent."""
    found: dict[str, Instance] = {}
    reasons: list[str] = []
    for some in chunks(items, _AT_ONCE):
        for (name, opened), header in zip(some, read_headers(some), strict=True):
            what = _instance(header, opened)
            if isinstance(what, Instance):
                found[name] = what
            else:
                reasons.append(f"{escape(name)} cannot be sent as DICOM: {what}. {_LEAVE_OUT}")
    if reasons := reasons or [*_twice(found, digests or {})]:
        raise Refused(reasons)
    return found


def _instance(header: Header | NotDicom, opened: Callable[[], BinaryIO]) -> Instance | str:
    """What an item is, or why it cannot be sent."""
    if isinstance(header, NotDicom):
        return f"it is not DICOM: {header.reason.rstrip('.')}"
    if fault := _fault(header):
        return fault
    with opened() as data:
        begin = data_set_begins_at(data)
        if begin is None:
            return "its file meta information is not as PS3.10 demands"
        is_odd = (data.seek(0, os.SEEK_END) - begin) % 2 == 1
    return Instance._make([*(header.values[keyword] for keyword in _NEEDED), is_odd])


def _fault(header: Header) -> str:
    if header.is_media_directory:
        return "it is a DICOMDIR, which lists other files"
    values = header.values
    for keyword in _NEEDED:
        if not _UID.fullmatch(values.get(keyword, "")):
            return f"{keyword} is missing or not a UID"
    for meta, keyword in _SAME:
        if values.get(meta) != values[keyword]:
            return f"{meta} and {keyword} differ: {escape(values.get(meta, 'none'))} and {values[keyword]}"
    return ""


def _twice(instances: Mapping[str, Instance], digests: Mapping[str, str]) -> Iterator[str]:
    """Of two items with one SOPInstanceUID and different bytes, a place would keep one."""
    first: dict[str, str] = {}
    for name, instance in instances.items():
        other = first.setdefault(instance.sop_uid, name)
        if other != name and digests.get(other) != digests.get(name):
            both = f"{escape(other)} and {escape(name)}"
            yield f"{both} are one instance with different bytes: SOPInstanceUID {instance.sop_uid}"


def missing_for_good(
    instances: Sequence[Instance], unlisted_of: Callable[[Sequence[Instance]], Sequence[Instance]]
) -> Sequence[Instance]:
    """The instances that a place still does not list after it was asked several times: it may enter an instance into
    its index after it has acknowledged it."""
    missing: Sequence[Instance] = instances
    for seconds in (*_AGAIN_AFTER_SECONDS, 0):
        if not (missing := unlisted_of(missing)):
            break
        time.sleep(seconds)
    return missing


def not_listed(by: str, missing: Sequence[Instance], instances: Sequence[Instance]) -> str:
    """What is said of a place that does not list what it acknowledged."""
    uids = first_few([instance.sop_uid for instance in missing])
    return (
        f"has acknowledged {len(instances)} instances, but {by} does not list {len(missing)} of them: {uids}"
    )


def unlisted(wanted: Sequence[Instance], there: set[str]) -> list[Instance]:
    """The instances whose SOPInstanceUID is not there."""
    return [instance for instance in wanted if instance.sop_uid not in there]


def first_few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def open_again(data: BinaryIO) -> BinaryIO:
    """The same bytes from their beginning."""
    return open(descriptor_path(data), "rb")


def descriptor_path(data: BinaryIO) -> str:
    """A path under which this process can open the same bytes again."""
    return f"/dev/fd/{data.fileno()}"
