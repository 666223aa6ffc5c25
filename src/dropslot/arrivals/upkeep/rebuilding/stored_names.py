"""The item and version of a stored name: `scan.v2.nii.gz` is version 2 of `scan.nii.gz`, if that is there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container

from dropslot.core.names import LIMIT_BYTES, size_bytes, versioned

_MARK = re.compile(r"\.v([2-9]|[1-9]\d{1,8})(?=\.|\Z)")
_LONGEST_MARK = 12


def item_of(stored_as: str, others: Container[str], near: Collection[str] = ()) -> tuple[str, int]:
    """(item, version) of a stored path. `others` are the paths that may be first versions at this place; `near` those
    of the same folder, which are tried where the name is so long that its first version's was cut."""
    folder, name = os.path.split(stored_as)
    for mark in reversed(list(_MARK.finditer(name))):
        base, version = name[: mark.start()] + name[mark.end() :], int(mark[1])
        if base and versioned(base, version) == name and os.path.join(folder, base) in others:
            return os.path.join(folder, base), version
        if size_bytes(name) >= LIMIT_BYTES - _LONGEST_MARK:
            for path in near:
                if versioned(os.path.basename(path), version) == name and path in others:
                    return path, version
    return stored_as, 1


def may_be_version(name: str) -> bool:
    """Whether a name has the mark of a later version in it."""
    return _MARK.search(name) is not None
