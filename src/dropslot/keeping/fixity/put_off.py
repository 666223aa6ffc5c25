"""Stored files whose destination did not answer: which ones are to be read later, by place, as ranges of ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict

from dropslot.keeping.fixity.digest_reader import place_key
from dropslot.keeping.fixity.fixity_report import Seen


class Later(TypedDict):
    """Of one place: `ranges` of ids, both ends included; `open` if the last file that was looked for is in them."""

    ranges: list[list[int]]
    open: bool


PutOff = dict[str, Later]


def add(put_off: PutOff, seen: Iterable[Seen]) -> PutOff:
    """With what a page of files adds."""
    for one in seen:
        place = place_key(one.file.url)
        if one.is_away:
            later = put_off.setdefault(place, {"ranges": [], "open": False})
            if later["open"]:
                later["ranges"][-1][1] = one.file.id
            else:
                later["ranges"].append([one.file.id, one.file.id])
            later["open"] = True
        elif place in put_off:
            put_off[place]["open"] = False
    return put_off


def done_up_to(put_off: PutOff, place: str, id: int) -> PutOff:
    """Without the files of a place up to this id, which have been read now."""
    later = put_off[place]
    later["ranges"] = [[max(first, id + 1), last] for first, last in later["ranges"] if last > id]
    if not later["ranges"]:
        del put_off[place]
    return put_off


def places(put_off: PutOff) -> Iterator[tuple[str, int, int]]:
    """Each place with the first and the last id of its first range."""
    for place, later in put_off.items():
        first, last = later["ranges"][0]
        yield place, first, last
