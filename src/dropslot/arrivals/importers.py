"""The base of importers: what an app reads from the items of an arrival, for their paths and for tables of its own.

An app gives its importer of a route by `DropslotApp.importer`. The delivery calls it before staging; what it found is
recorded in the transaction that ends the delivery.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, ClassVar, NamedTuple

from dropslot.core.errors import DropslotError

if TYPE_CHECKING:
    from dropslot.arrivals.models import Arrival  # the registry is loaded before any model
    from dropslot.audit.chain import Entry
    from dropslot.contents.base import ListedItem


class NotYet(DropslotError):
    """The arrival waits for something that is still to come. It is tried again after at most `again_in` seconds."""

    code = "not-yet"
    retryable = True
    again_in = 300.0


class Bytes(NamedTuple):
    """One item as it was delivered."""

    sha256: str
    size_bytes: int


class Imported(ABC):
    """What was read from one arrival. `values` are its items' fields, and `held_back` its items that are archived but
    not delivered, both by path below the target."""

    values: Mapping[str, Mapping[str, str]]
    held_back: Collection[str]

    @abstractmethod
    def prove(self, open_staged: Callable[[str], BinaryIO]) -> None:
        """Raise SourceChanged unless the staged bytes are those that were read."""

    def judge(self, staged: Mapping[str, Bytes]) -> None:  # noqa: B027
        """Raise Refused if what will be delivered, by path, must not be. Called after `prove`."""

    def reserve(self) -> None:  # noqa: B027
        """Called within the transaction that records the intent for the first time, after `judge`. Raises NameInFlight
        or Refused if another arrival has taken meanwhile what this one needs for itself."""

    @abstractmethod
    def record(self, delivered: Mapping[str, Bytes]) -> Sequence[Entry]:
        """Write what was read, within the transaction that records the arrival as done; the events of it."""


class Importer(ABC):
    """Reads the items of the arrivals of one route. Made once in a process."""

    gives: ClassVar[frozenset[str]]  # the fields of items that `values` may have

    @abstractmethod
    def look(self, arrival: Arrival, items: Sequence[ListedItem], wanted: Collection[str]) -> Imported:
        """Read the items that are to be delivered. `wanted`: the fields in the route's paths. `open` of an item gives
        its file itself, which a process without rights may read.

        Raises Refused, and NotYet or another retryable DropslotError. Neither once the arrival has an intent.
        """
