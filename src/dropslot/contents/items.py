"""Items on their way: where they are read, and what was read of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder
from dropslot.files.listing import Listing

NO_OTHERS: Mapping[str, str] = MappingProxyType({})


class Staged(NamedTuple):
    """One staged item; `path` as it was listed. `others` maps further algorithms ("md5", "sha512", …) to hex."""

    path: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    others: Mapping[str, str] = NO_OTHERS

    @property
    def digests(self) -> dict[str, str]:
        """All digests by algorithm; sha256 is always there."""
        return {"sha256": self.sha256, **self.others}


class Source(NamedTuple):
    """Where an arrival lies (its absolute path) and what it was seen to hold. `lease`: nobody minds when a program that
    wants to write to it has to wait while it is read."""

    path: Path
    listing: Listing
    lease: bool = False

    def open(self) -> Folder:
        """The arrival's folder, which may be no link, or the folder that holds its single file. Raises what
        `faults.at_source` does."""
        path = os.fspath(self.path)
        try:
            if self.listing.is_folder:
                return Folder(os.open(path, FOLDER))
            return Folder.trusted(os.path.dirname(path))
        except OSError as error:
            raise faults.at_source(error, os.path.basename(path)) from error
