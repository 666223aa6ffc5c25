"""What a bag's own manifests say before it is staged. It is validated afterwards, from the bytes that were staged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from dropslot.checks import bag
from dropslot.core.errors import SourceChanged
from dropslot.core.names import escape
from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder
from dropslot.files.listing import Listing
from dropslot.files.reading import open_regular


def listed(source: Path, listing: Listing) -> set[str]:
    """The paths that the manifests of the bag at `source` list; none for an arrival that is no bag.

    Raises SourceChanged, SourceUnready and StorageFault.
    """
    found = bag.find(listing)
    if found is None:
        return set()
    try:
        with Folder(os.open(source, FOLDER)) as folder:
            return found.listed(lambda name: _open(folder, name))
    except OSError as error:
        raise faults.at_source(error, source.name) from error


def _open(folder: Folder, name: str) -> BinaryIO:
    descriptor = open_regular(folder, name)
    if descriptor is None:
        raise SourceChanged(
            f"{escape(name)} is gone, or is no longer a regular file", where="It is read again"
        )
    return os.fdopen(descriptor, "rb")
