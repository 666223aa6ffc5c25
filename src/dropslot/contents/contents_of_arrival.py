"""Finds the kind of contents of an arrival."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from dropslot.contents import bag_manifests
from dropslot.contents.bags import BagContents
from dropslot.contents.base import Contents
from dropslot.files import faults
from dropslot.files.descriptors import FOLDER, Folder
from dropslot.files.listing import Listing
from dropslot.files.regular_files import open_at_source


def contents_of(listing: Listing) -> Contents:
    """The contents of a listing, as an object of their kind. Opens nothing."""
    bag = bag_manifests.find(listing) if _may_be_bag(listing) else None
    return BagContents(listing, bag) if bag else Contents(listing)


def _may_be_bag(listing: Listing) -> bool:
    return listing.is_folder and any(item.path == bag_manifests.DECLARATION for item in listing.items)


def folder_of_items(arrival: Path) -> Path:
    """The folder of the delivered items in the folder at `arrival`. Does not list it."""
    declaration = arrival / bag_manifests.DECLARATION
    return arrival / bag_manifests.PAYLOAD if os.path.lexists(declaration) else arrival


def sent_on_purpose(source: Path, listing: Listing) -> set[str]:
    """The paths that the arrival's own manifests list: they are not litter, whatever their names are. Empty if there
    are no manifests. Raises SourceChanged, SourceUnready and StorageFault."""
    bag = bag_manifests.find(listing)
    if bag is None:
        return set()
    try:
        with Folder(os.open(source, FOLDER)) as folder:
            return bag.listed(lambda name: _open(folder, name))
    except OSError as error:
        raise faults.at_source(error, source.name) from error


def _open(folder: Folder, name: str) -> BinaryIO:
    return os.fdopen(open_at_source(folder, name), "rb")
