"""Plants a value of its own into every element that the profile names, at the top and in sequences of any depth."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from datetime import date, timedelta

import pydicom
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from dicom.samples import sample
from dropslot.dicom_files.deidentifier import profile

# Kind: the file that it is built from, and sequences, one inside the other, into which values are planted besides.
KINDS = {
    "CT": ("CT_small.dcm", ("ReferencedSeriesSequence", "ReferencedInstanceSequence")),
    "MR": ("MR_small.dcm", ("DerivationCodeSequence",)),
    "US": ("US1_UNCR.dcm", ("SequenceOfUltrasoundRegions",)),
    "SR": ("test-SR.dcm", ("ContentSequence", "ContentSequence", "ConceptCodeSequence")),
    "SEG": ("liver_1frame.dcm", ("SharedFunctionalGroupsSequence", "DerivationImageSequence")),
    "RTSTRUCT": (
        "rtstruct.dcm",
        ("ROIContourSequence", "ContourSequence", "ContourImageSequence", "PurposeOfReferenceCodeSequence"),
    ),
}
_SHORT = {"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"}
# They decide what the file is, or are written anew.
_LEFT = {"00080005", "0020000D", "0020000E", "00080018", "0040A730"}


class Planter:
    """Makes planted values; `planted` are their bytes."""

    def __init__(self) -> None:
        self.planted: set[bytes] = set()
        self._numbers = itertools.count(10_000)

    def value(self, vr: str) -> object | None:
        """One that no other element has; None for a VR that holds no identifier."""
        number = next(self._numbers)
        made = {
            **dict.fromkeys(_SHORT, f"PLANT{number}"),
            "PN": f"Planted{number}^Given{number}",
            "UI": f"1.2.826.0.1.3680043.99.{number}",
            "DA": f"{date(1850, 1, 1) + timedelta(days=number):%Y%m%d}",
            "DT": f"{date(1850, 1, 1) + timedelta(days=number):%Y%m%d}101112.123456",
            "TM": f"101112.{number}",
            "UR": f"http://plant{number}.example",
            "OB": f"PLANT{number}".encode(),
            "UN": f"PLANT{number}".encode(),
        }.get(vr)
        if made is not None:
            self.planted.add(made if isinstance(made, bytes) else str(made).encode("ascii"))
            self.planted.update(str(made).encode("ascii").split(b"^") if vr == "PN" else ())
        return made

    def fill(self, dataset: Dataset) -> None:
        """Plant a value into each element of the table, and into private ones."""
        for tag in _tags():
            vr = dictionary_VR(tag)
            if vr == "SQ":
                item = Dataset()
                item.PatientName = self.value("PN")
                if keyword_for_tag(tag).endswith("IdentificationCodeSequence"):
                    item.CodeMeaning = self.value("LO")
                dataset.add_new(tag, "SQ", Sequence([item]))
            elif (value := self.value(vr)) is not None:
                dataset.add_new(tag, vr, value)
        block = dataset.private_block(0x0011, "PLANTER", create=True)
        for number, vr in enumerate(("LO", "PN", "DA", "UI", "UN", "LT"), 1):
            block.add_new(number, vr, self.value(vr))
        dataset.add_new(0x60004000, "LO", self.value("LO"))


def _tags() -> Iterator[int]:
    for tag in profile.actions([], "remove"):
        known = f"{tag:08X}" not in _LEFT and tag >> 16 > 0x0004
        try:
            dictionary_VR(tag)
        except KeyError:
            continue
        if known:
            yield tag


def planted(kind: str) -> tuple[bytes, set[bytes]]:
    """A file of the kind, and what was planted in it."""
    name, way = KINDS[kind]
    dataset = pydicom.dcmread(sample(name), force=True)
    planter = Planter()
    planter.fill(dataset)
    inner = dataset
    for keyword in way:
        if not inner.get(keyword):
            setattr(inner, keyword, Sequence([Dataset()]))
        inner = inner[keyword].value[0]
    planter.fill(inner)
    dataset.preamble = b"PLANT99999".ljust(128, b"\0")
    dataset.file_meta.TransferSyntaxUID = dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    dataset.file_meta.SourceApplicationEntityTitle = str(planter.value("AE"))
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue(), planter.planted | {b"PLANT99999"}
