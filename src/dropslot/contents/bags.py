"""A bag (BagIt, RFC 8493): its payload is delivered, and must match the bag's manifests."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.contents.bag_manifests import PAYLOAD, Bag
from dropslot.contents.base import Contents, OpenItem, Staged
from dropslot.files.listing import Listing


class BagContents(Contents):
    """Tag files are staged and hashed, since the manifests list them, but not delivered."""

    prefix = PAYLOAD
    is_bag = True

    def __init__(self, listing: Listing, bag: Bag) -> None:
        super().__init__(listing)
        self.bag = bag

    @property
    def algorithms(self) -> tuple[str, ...]:
        """SHA-256, and the algorithms of its manifests."""
        return tuple(dict.fromkeys(("sha256", *self.bag.algorithms)))

    def faults(self, staged: Sequence[Staged], open_item: OpenItem) -> list[str]:
        """The differences from the manifests."""
        return self.bag.faults({item.path: item.digests for item in staged}, open_item)
