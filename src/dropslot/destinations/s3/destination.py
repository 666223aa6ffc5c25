"""A bucket as a destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from dropslot.destinations.base import ACKNOWLEDGED, DIGEST_COMPARED, Found, Target
from dropslot.destinations.s3 import in_parts, object_keys, trial
from dropslot.destinations.s3.drop import S3Drop
from dropslot.destinations.s3.object_keys import key_of, prefix_of
from dropslot.destinations.s3.sdk_client import AT_ONCE
from dropslot.destinations.s3.store import Store
from dropslot.destinations.s3.store_access import Access
from dropslot.destinations.whole_items import WholeItems


class S3(WholeItems):
    """Rules for the same bucket with equal settings share one object."""

    at_once = AT_ONCE

    def __init__(self, access: Access, spool: Path | None = None) -> None:
        super().__init__(spool)
        self.access, self.store = access, Store(access)
        self._tried: set[str] = set()

    def check(self, target: Target) -> None:
        prefix = prefix_of(target.fixed)
        if prefix in self._tried:
            object_keys.is_empty(self.store, prefix)  # whether it answers, and lets us look
        else:
            self.try_out(prefix)

    def try_out(self, prefix: str) -> None:
        """Prove by a trial that nothing can be replaced there, and remove parts that were sent long ago and belong to
        nothing. Raises Unsupported, DestinationUnready."""
        object_keys.is_empty(self.store, prefix)
        if prefix:  # without one, what is found may belong to others
            in_parts.remove_abandoned(self.store, in_parts.begun_below(self.store, prefix))
        trial.require_conditions(self.store, prefix)
        if trial.compares_digests(self.store, prefix):
            self.proofs = frozenset({ACKNOWLEDGED, DIGEST_COMPARED})
        self._tried.add(prefix)

    def open(self, target: Target, arrival: str, epoch: int, name: str) -> S3Drop:
        return S3Drop(self, target, arrival, epoch, name)

    def send(self, target: Target, name: str, data: BinaryIO, sha256: str) -> bool:
        return self.store.put(key_of(target, name), data.read(), bytes.fromhex(sha256), {})

    def read(self, target: Target, name: str) -> Iterator[bytes]:
        return self.store.read(key_of(target, name))

    def listing(self, target: Target, folder: str) -> dict[str, Found]:
        prefix = prefix_of(target.url)
        return object_keys.listing(self.store, f"{prefix}{folder}/" if folder else prefix)

    def are_folders(self, urls: Sequence[str]) -> list[bool]:
        return [not object_keys.is_empty(self.store, prefix_of(url)) for url in urls]
