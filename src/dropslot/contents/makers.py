"""Contents whose bytes are made anew: what is delivered is not what was sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, BinaryIO

from dropslot.contents.base import Contents, ListedItem
from dropslot.core.errors import DropslotError
from dropslot.files.listing import Listing


class MakingFailed(DropslotError):
    """A maker broke instead of making an item; the arrival is neither refused nor delivered, and is retried."""

    code = "making-failed"
    retryable = True


class Maker(ABC):
    """Makes what is delivered in place of each item. Made once from its option and used for many arrivals.

    Each item is made once for an attempt, and all destinations get the same bytes. An attempt that is repeated before
    anything may be published makes them anew; after that the bytes that were made are kept until the delivery is done.
    The same item sent again is `unchanged` only if a maker makes the same of it.
    """

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @abstractmethod
    def make(self, item: ListedItem, out: BinaryIO) -> str | None:
        """Write to `out` what is delivered in the item's place. Returns its path below the target; None: the item's.

        `item.open` gives bytes on this machine that nobody changes any more. Raises `core.errors.Refused` to say why
        it cannot be made, and a retryable DropslotError when it cannot be made now; any other exception is a broken
        maker, and tried again.
        """


class MadeContents(Contents):
    """What was made of an arrival, with the folders that it lies in; the sender's own manifest was held against what
    was sent."""

    def __init__(self, listing: Listing, sent: Contents) -> None:
        super().__init__(listing)
        self.is_bag = sent.is_bag
        self.source_prefix = sent.source_prefix
