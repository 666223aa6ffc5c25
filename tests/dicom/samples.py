"""The files that come with pydicom and pydicom-data."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def sample_files() -> list[Path]:
    """All of them, also those that are no DICOM; no network is asked."""
    folders = (Path(str(files("pydicom"))) / "data", Path(str(files("data_store"))))
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".py", ".pyc")
    )


def sample(name: str) -> Path:
    """The file with this name: `CT_small.dcm`."""
    return next(path for path in sample_files() if path.name == name)
