"""What is kept of each space: counted, asked last, and how fast it grows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from django.utils import timezone

from dropslot.arrivals.models import Usage
from dropslot.arrivals.space.space_trees import Tree
from dropslot.core.fullness import FILE_SYSTEM, Capacity

_AT_SERVER = "at "  # begins the key of what a server said of an address


class Known(NamedTuple):
    """One row."""

    used_bytes: int = 0
    files: int = 0
    free_bytes: int | None = None
    free_files: int | None = None
    daily_bytes: int | None = None
    limited_by: str = ""
    is_filling: bool = False


class Usages:
    """All rows, by key."""

    def __init__(self, rows: Mapping[str, Known]) -> None:
        self._rows = rows

    @classmethod
    def load(cls) -> Usages:
        """One query."""
        rows = Usage.objects.values_list("key", *Known._fields)
        return cls({key: Known(*values) for key, *values in rows})

    @property
    def keys(self) -> Collection[str]:
        """All keys, among them the addresses of what is counted."""
        return self._rows.keys()

    def of(self, key: str) -> Known:
        """What is known under this key."""
        return self._rows.get(key, Known())

    def at_servers(self, trees: Sequence[Tree]) -> dict[str, list[Capacity]]:
        """What the servers of these trees said last."""
        found = {}
        for tree in trees:
            known = self._rows.get(_AT_SERVER + tree.url) if tree.rule.scheme else None
            if known and known.free_bytes is not None:
                used, free, id_ = known.used_bytes, known.free_bytes, known.limited_by
                found[tree.url] = [Capacity(FILE_SYSTEM, id_, used, free, known.files, known.free_files)]
        return found

    @staticmethod
    def say(key: str, *, is_filling: bool) -> None:
        """Keep whether it was said to be filling."""
        Usage.objects.update_or_create(key=key, defaults={"is_filling": is_filling})

    @staticmethod
    def keep(measured: Mapping[str, Sequence[Capacity]]) -> None:
        """Keep what servers said of these addresses."""
        now = timezone.now()
        rows = [
            Usage(
                key=_AT_SERVER + url,
                used_bytes=said.used_bytes,
                files=said.used_files,
                free_bytes=said.free_bytes,
                free_files=said.free_files,
                limited_by=said.id,
                looked_at=now,
            )
            for url, capacities in measured.items()
            for said in capacities
        ]
        columns = ["used_bytes", "files", "free_bytes", "free_files", "limited_by", "looked_at"]
        Usage.objects.bulk_create(rows, update_conflicts=True, unique_fields=["key"], update_fields=columns)
