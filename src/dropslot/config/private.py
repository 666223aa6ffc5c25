"""The data folder: database, keys and logs, which the service alone may read."""

from __future__ import annotations

from pathlib import Path

PRIVATE_MODE = 0o700


def make_data_folder(data: Path) -> None:
    """Make the data folder, mode 0700, unless it is there. Raises OSError.

    Of the folders above it only the nearest may be missing: more than that looks like an unmounted disk.
    """
    if data.is_dir():
        return
    if data.parent.parent.is_dir():
        data.parent.mkdir(mode=0o755, exist_ok=True)
    data.mkdir(mode=PRIVATE_MODE, exist_ok=True)


def make_private(folder: Path, data: Path) -> None:
    """Make `folder`, mode 0700, and the data folder first when it is to be beneath that. Raises OSError."""
    if folder.is_relative_to(data):
        make_data_folder(data)
    folder.mkdir(mode=PRIVATE_MODE, exist_ok=True)
