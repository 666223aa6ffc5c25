"""Study data: real CT, MR, ultrasound and NIfTI files, one of them sent again, corrected."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import nibabel
import pydicom
from pydicom.data import get_testdata_file

from installation import Installation, Row, say, shown

_NIFTI = Path(nibabel.__file__).parent / "tests" / "data"
_FIRST = {
    "heart-scanner1-visit1": {
        "ct/CT_small.dcm": "CT_small.dcm",
        "mr/MR_small.dcm": "MR_small.dcm",
    },
    "heart-pc17-visit2": {"us/echo.dcm": "examples_ybr_color.dcm"},
    "brain-scanner1-visit1": {
        "anatomical.nii": "anatomical.nii",
        "epi/phantom.PAR": "phantom_EPI_asc_CLEAR_2_1.PAR",
        "epi/phantom.REC": "phantom_EPI_asc_CLEAR_2_1.REC",
    },
}
_CORRECTED = "heart-scanner1-visit1"  # a correction comes under the name that was sent before


def demonstrate(installation: Installation) -> None:
    """Send three arrivals, then a corrected image, and show where they went."""
    before = installation.ids()
    say(
        "[bold]Study data.[/bold] Sending three arrivals: CT and MR, an ultrasound, and a NIfTI with a PAR/REC scan."
    )
    for name, files in _FIRST.items():
        _send(installation, name, {path: _sample(sample) for path, sample in files.items()})
    installation.wait_for_arrivals(set(_FIRST), before)
    first = installation.ids()
    say("Sending one of the images again, corrected, under the name it had.\n")
    _send(installation, _CORRECTED, {"ct/CT_small.dcm": _corrected_scan(_outgoing(installation))})
    installation.wait_for_arrivals({_CORRECTED}, first)
    _show([row for row in installation.listing("history") if row["arrival"] not in before])
    say("\nNothing was overwritten: the corrected image lies beside the first one, as version 2.\n")


def _outgoing(installation: Installation) -> Path:
    # On the inbox's file system, so that the last step of a drop is one rename.
    folder = installation.folder / "study" / ".outgoing"
    folder.mkdir(exist_ok=True)
    return folder


def _send(installation: Installation, name: str, files: dict[str, Path]) -> None:
    """As a careful sender does: written elsewhere, then renamed into the inbox, whole."""
    folder = _outgoing(installation) / name
    shutil.rmtree(folder, ignore_errors=True)
    for path, source in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    folder.rename(installation.folder / "study" / "inbox" / name)


def _corrected_scan(folder: Path) -> Path:
    """The CT image with a corrected description: other content under a name that has been delivered."""
    changed = folder / "CT_small.dcm"
    image = pydicom.dcmread(_sample("CT_small.dcm"))
    image.StudyDescription = "corrected at the scanner"
    image.save_as(changed)
    return changed


def _sample(name: str) -> Path:
    if (_NIFTI / name).exists():
        return _NIFTI / name
    found = get_testdata_file(name, download=False)
    if not found:
        raise SystemExit(f"the sample file {name} is not in this version of pydicom")
    return Path(str(found))


def _show(deliveries: Sequence[Row]) -> None:
    for name, items in groupby(deliveries, key=itemgetter("name")):
        say(f"[bold]{name}[/bold]")
        for item in items:
            stored = shown(Path(item["destination"]) / item["stored_as"])
            say(f"  {item['item']} → {stored}")
            say(
                f"      version {item['version']}, {item['outcome']}, sha256 {item['sha256'][:16]}…",
                style="dim",
            )
