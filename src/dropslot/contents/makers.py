"""Contents whose bytes are made anew: the delivered items differ from the sent ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, BinaryIO

from dropslot.contents.base import Contents, ListedItem
from dropslot.core.errors import DropslotError
from dropslot.files.listing import Listing


class MakingFailed(DropslotError):
    """A maker failed with an error. The arrival is neither refused nor delivered, and is retried."""

    code = "making-failed"
    retryable = True


class Maker(ABC):
    """Makes the bytes that are delivered in place of each item. Created once from its option and used for many
    arrivals.

    Each item is made once in an attempt, and all destinations get the same bytes. Until something may be published, the
    next attempt makes them again. After that the made bytes are kept until the delivery is done. If the same item is
    sent again, it is `unchanged` only if the maker makes the same bytes from it.
    """

    at_once = 1  # how many items of an arrival may be made at the same time; more than one: in threads

    def __init__(self, option: Any = None) -> None:
        self.option = option

    def begin(self, arrival: str) -> Maker:  # noqa: ARG002
        """The maker for one attempt to make the items of an arrival, named by its id. By default the same for all."""
        return self

    @abstractmethod
    def make(self, item: ListedItem, out: BinaryIO) -> str | None:
        """Write the bytes to deliver to `out`. Returns their path below the target; None: the item's own path.

        `item.open` gives bytes on this machine that no longer change. Raise `core.errors.Refused` with the reason if it
        cannot be made, and a retryable DropslotError if it cannot be made now. Any other exception means that the maker
        fails; the arrival is retried.
        """

    def end(self) -> None:  # noqa: B027
        """All items of the arrival were made, and nothing is published yet: record what must be known of them. May be
        called again for the same arrival after a crash. Raises as `make`."""


class MadeContents(Contents):
    """The items that were made anew, with their folders. The sender's own manifests were compared with the sent
    items."""

    def __init__(self, listing: Listing, sent: Contents) -> None:
        super().__init__(listing)
        self.is_bag = sent.is_bag
        self.source_prefix = sent.source_prefix
