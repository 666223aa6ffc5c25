"""From targets and names to keys, and what is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from dropslot.destinations.base import Found, Stored, Target
from dropslot.destinations.layout import safe
from dropslot.destinations.s3.store import Page, Store

LONGEST_BYTES = 1024  # of a key, in UTF-8
_MOST_PAGES = 20  # of a folder; one with more is asked name by name
_FEW = 4  # after so many single questions for names of one folder, the folder is listed
_FOLDER = Found(True, False, 0, 0)


def prefix_of(url: str) -> str:
    """What the keys of all items below an address begin with."""
    path = url.partition("://")[2].partition("/")[2]
    return f"{path}/" if path else ""


def key_of(target: Target, name: str) -> str:
    """The key of an item. Raises ValueError for an unsafe name."""
    return prefix_of(target.url) + safe(name)


def pages(store: Store, prefix: str) -> Iterator[Page]:
    """What is directly below a prefix."""
    page = store.page(prefix)
    yield page
    while page.rest:
        page = store.page(prefix, page.rest)
        yield page


def listing(store: Store, prefix: str) -> dict[str, Found]:
    """What is directly below a prefix, by name. Some programs make a key with a slash at its end for a folder."""
    return _collected(pages(store, prefix), prefix)


def short_listing(store: Store, prefix: str) -> dict[str, Found] | None:
    """The same; None if there are more than some thousands."""
    some = list(islice(pages(store, prefix), _MOST_PAGES + 1))
    return _collected(some, prefix) if len(some) <= _MOST_PAGES else None


def _collected(some: Iterable[Page], prefix: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for page in some:
        for key, seen in page.objects.items():
            time_ns = int(seen.at.timestamp() * 1_000_000_000)
            found[key.removeprefix(prefix)] = Found(False, True, seen.size_bytes, time_ns)
        for folder in page.folders:
            found.setdefault(folder.removeprefix(prefix).rstrip("/"), _FOLDER)
    found.pop("", None)
    return found


def is_empty(store: Store, prefix: str) -> bool:
    """Whether no key begins so."""
    return not store.page(prefix, most=1, deep=True).objects


class Looking:
    """What a target holds. The pipeline asks for names one after the other, and each question costs a round trip."""

    def __init__(self, store: Store, target: Target) -> None:
        self._store, self._prefix = store, prefix_of(target.url)
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, dict[str, Found] | None] = {}  # None: it has too many

    def at(self, name: str) -> Stored | None:
        """The entry at a name."""
        folder, _, last = safe(name).rpartition("/")
        if folder not in self._listed:
            self._asked[folder] += 1
            if self._asked[folder] <= _FEW:
                return self._alone(name)
            below = f"{self._prefix}{folder}/" if folder else self._prefix
            self._listed[folder] = short_listing(self._store, below)
        entries = self._listed[folder]
        if entries is None:
            return self._alone(name)
        found = entries.get(last)
        return Stored(found.regular, found.size_bytes, None) if found else None

    def _alone(self, name: str) -> Stored | None:
        if seen := self._store.look(self._prefix + name):
            return Stored(True, seen.size_bytes, None)
        return None if is_empty(self._store, f"{self._prefix}{name}/") else Stored(False, 0, None)
