"""De-identifies one file. Runs in the process without rights, see `dropslot.parsing.program`."""

from __future__ import annotations

import codecs
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from pydicom import config
from pydicom.charset import python_encoding
from pydicom.uid import UID

from dropslot.dicom_files.deidentifier import (
    dicom_file,
    identifiers,
    pixel_texts,
    profile,
    recipe_filters,
    recipes,
    risks,
    texts,
)
from dropslot.dicom_files.deidentifier.cleaner import Cleaner
from dropslot.dicom_files.deidentifier.elements import (
    Element,
    Malformed,
    known_vr,
    spelled,
    written,
)
from dropslot.dicom_files.deidentifier.marking import marked, meta_of
from dropslot.dicom_files.deidentifier.replacing import ACCESSION, PATIENT, Replacer, even
from dropslot.dicom_files.deidentifier.scanning import MOST_FINDINGS, Scan

_ASCII = ["iso8859"]
_SOP_CLASS, _SOP_INSTANCE = 0x00080016, 0x00080018
_MOST_TEXT = 1024  # longer ones tell no kind
_ROWS, _COLUMNS, _PIXELS_ELSEWHERE = 0x00280010, 0x00280011, 0x00287FE0
_PATIENT_ID, _ISSUER, _PATIENT_NAME, _BIRTH_DATE = 0x00100020, 0x00100021, 0x00100010, 0x00100030


class _No(Exception):
    """It is refused; the words are the reasons."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = reasons


class _Done(NamedTuple):
    head: bytes
    tail: bytes
    pixels: tuple[int, int]
    path: str
    made: Mapping[tuple[str, str], str]


def prepare() -> None:
    """Load what Python would later look for in files."""
    for encoding in {*python_encoding.values(), "utf-16-le", "utf-16-be", "cp437"}:
        codecs.lookup(encoding)
    config.settings.reading_validation_mode = config.IGNORE
    config.logger.disabled = True
    profile.actions([], "remove")
    profile.safe_private()
    identifiers.common_words()


def parse(descriptors: list[int], question: dict[str, Any]) -> dict[str, Any]:
    """Reads the file behind the first descriptor. With `ask: originals` it returns the values for which an external
    service makes pseudonyms: `{"originals": [[KIND, ORIGINAL], …]}`. Otherwise it writes into the second descriptor,
    which holds `most_bytes`: the bytes before the pixels, those after them, and the replacements as JSON, of the sizes
    in the answer, `{"head", "tail", "made", "pixels": [OFFSET, BYTES], "path"}`. Or `{"refused": [REASON, …]}`."""
    source = descriptors[0]
    size = os.lseek(source, 0, os.SEEK_END)
    if size == 0:
        return {"refused": ["it is empty"]}
    try:
        with mmap.mmap(source, size, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
            return _answer(mapped, descriptors, question)
    except _No as no:
        return {"refused": list(no.reasons)}
    except dicom_file.NotDicom:
        return {"refused": ["it is not a DICOM file, and only DICOM files can be de-identified"]}
    except Malformed as fault:
        return {"refused": [f"it is malformed: {fault}"]}
    except RecursionError:
        return {"refused": ["it is malformed: its sequences are too deep"]}
    except MemoryError:
        return {"refused": ["it needs more memory than de-identification may take"]}


def _answer(mapped: mmap.mmap, descriptors: list[int], question: dict[str, Any]) -> dict[str, Any]:
    file = dicom_file.read(mapped)  # type: ignore[arg-type]
    if question.get("ask") == "originals":
        return {"originals": [list(pair) for pair in _originals(file.elements)]}
    done = _deidentified(file, question)
    made = json.dumps([[*pair, replacement] for pair, replacement in done.made.items()]).encode("ascii")
    parts = (done.head, done.tail, made)
    if sum(map(len, parts)) > question["most_bytes"]:
        raise _No("it grows too much when it is de-identified")
    with mmap.mmap(descriptors[1], question["most_bytes"], mmap.MAP_SHARED) as out:
        for part in parts:
            out.write(part)
    sizes = dict(zip(("head", "tail", "made"), map(len, parts), strict=True))
    return {**sizes, "pixels": list(done.pixels), "path": done.path}


def _originals(elements: Sequence[Element]) -> list[tuple[str, str]]:
    found = [(PATIENT, patient)] if (patient := _patient(elements)) else []
    for value in _every(elements, profile.ACCESSION_NUMBER):
        found.append((ACCESSION, value))
    own = _value(elements, _PATIENT_ID)
    found += [(PATIENT, value) for value in _every(elements, _PATIENT_ID) if value != own]
    return list(dict.fromkeys(found))


def _every(elements: Sequence[Element], tag: int) -> list[str]:
    found = []
    for element in elements:
        for item in element.items or ():
            found += _every(item, tag)
        if element.tag == tag and element.value:
            found += texts.values_of(element, texts.encodings_of(elements, _ASCII))[:1]
    return [value for value in found if value]


def _value(elements: Sequence[Element], tag: int) -> str:
    for element in elements:
        if element.tag == tag:
            return texts.text_of(element.value, texts.encodings_of(elements, _ASCII))
    return ""


def _patient(elements: Sequence[Element]) -> str:
    """Who the patient is: the PatientID with its issuer as HL7 writes it, or name and birth date if there is none."""
    number, issuer = _value(elements, _PATIENT_ID), _value(elements, _ISSUER)
    if number:
        return f"{number}^^^{issuer}" if issuer else number
    name = _value(elements, _PATIENT_NAME)
    return f"{name}|{_value(elements, _BIRTH_DATE)}" if name.strip("^ ") else ""


def _deidentified(file: dicom_file.File, question: dict[str, Any]) -> _Done:
    options, dates = question["options"], question["dates"]
    sop_class = _value(file.elements, _SOP_CLASS)
    _require_no_risk(file, sop_class, question["accept"], question["labels"])
    _require_right_types(file.elements)
    _require_pixels(file, sop_class)
    kept = frozenset(["UI"] * ("retain-uids" in options) + ["DA", "DT"] * (dates == "keep"))
    changes = recipes.changes(question["recipe"])
    actions = {**profile.actions(options, dates), **changes.actions}
    wanted = identifiers.collect(file.elements, actions, kept)
    replacer = Replacer(bytes.fromhex(question["key"]), question["given"])
    patient = _patient(file.elements)
    pseudonym = replacer.pseudonym(PATIENT, patient) if patient else ""
    if dates == "shift":
        replacer.begin_shift(patient or _value(file.elements, 0x0020000D))
    own = _value(file.elements, _PATIENT_ID)
    cleaner = Cleaner(actions, options, dates, replacer, wanted, {own: pseudonym}, changes.private)
    codes = [] if question["recipe"] else profile.codes(options, dates)
    found = cleaner.clean(file.elements, _ASCII)
    cleaned = marked(found, codes, dates, changes.additions, question["method"])
    instance = _value(cleaned, _SOP_INSTANCE)
    if not instance or not sop_class:
        raise _No("it has no SOPInstanceUID or no SOPClassUID")
    done = _written(file, cleaned, sop_class, instance)
    own_values = {*cleaner.made, *replacer.made.values(), *changes.additions.values()}
    encodings = texts.encodings_of(file.elements, _ASCII)
    _require_clean(file, done, Scan(wanted, frozenset(own_values), kept, encodings))
    return done._replace(made=replacer.made)


def _require_no_risk(
    file: dicom_file.File, sop_class: str, accepted: Sequence[str], labels: Sequence[Sequence[object]]
) -> None:
    elements = file.elements
    if risks.is_media_directory(sop_class) or any(element.tag == 0x00041220 for element in elements):
        raise _No(
            "it is a DICOMDIR, which names the patient and files. Add DICOMDIR to `ignore` of the route"
        )
    values = {
        each.tag: texts.text_of(each.value, _ASCII) for each in elements if len(each.value) < _MOST_TEXT
    }
    kinds = [kind for kind in risks.of(sop_class, values) if kind not in accepted]
    reasons = [f"{risks.KINDS[kind]} (kind {kind})" for kind in kinds]
    if "filter" not in accepted:
        numbers = {tag: number for each in elements for tag, number in _in_digits(each, file.syntax.order)}
        matched = recipe_filters.matching(labels, values | numbers)
        reasons += [f"{risks.KINDS['filter']}: {name} (kind filter)" for name in matched]
    if reasons:
        raise _No(
            *reasons,
            "look at it, and add the kind to `accept` of the route's `deidentify` only if no such file shows an"
            " identifier; or dismiss the arrival",
        )


_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}


def _in_digits(element: Element, order: str) -> Iterator[tuple[int, str]]:
    """The value of a binary number, as filters compare it."""
    code = _BINARY.get(element.vr)
    if code and len(element.value) < _MOST_TEXT:
        count = len(element.value) // struct.calcsize(f"={code}")
        yield element.tag, "\\".join(map(str, struct.unpack_from(f"{order}{count}{code}", element.value)))


_TEXTUAL = texts.TEXTS | texts.TIMES | texts.NUMBERS


def _require_right_types(elements: Sequence[Element]) -> None:
    """Text where the standard has a number could hold anything."""
    for element in elements:
        expected = known_vr(element.tag)
        is_sure = element.items is None and element.vr != "UN" and len(expected) == 2
        if is_sure and (expected == "SQ" or (element.vr in _TEXTUAL) != (expected in _TEXTUAL)):
            raise Malformed(f"{spelled(element.tag)} has the VR {element.vr} in place of {expected}")
        for item in element.items or ():
            _require_right_types(item)


def _require_pixels(file: dicom_file.File, sop_class: str) -> None:
    """An image that was cut off between two elements is read to its end."""
    tags = {element.tag for element in file.elements}
    is_image = {_ROWS, _COLUMNS} <= tags or UID(sop_class).name.endswith("Image Storage")
    if is_image and file.pixels is None and _PIXELS_ELSEWHERE not in tags:
        raise Malformed("it is an image and has no pixels: it may be cut off")


def _written(file: dicom_file.File, cleaned: Sequence[Element], sop_class: str, instance: str) -> _Done:
    meta = meta_of(sop_class, instance, file.transfer_syntax)
    at = file.pixels.tag if file.pixels else 0xFFFFFFFF
    head = written([element for element in cleaned if element.tag < at], file.syntax)
    tail = written([element for element in cleaned if element.tag > at], file.syntax)
    pixels = (file.pixels.offset, file.pixels.size_bytes) if file.pixels else (0, 0)
    path = f"{instance}.dcm"
    if not file.is_deflated:
        return _Done(meta + head, tail, pixels, path, {})
    inside = head + file.data[pixels[0] : sum(pixels)] + tail
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(inside) + packer.flush()
    return _Done(meta + even(packed, "OB"), b"", (0, 0), path, {})


def _require_clean(file: dicom_file.File, done: _Done, scan: Scan) -> None:
    again = dicom_file.read(done.head + done.tail)
    meta = [Element(tag, known_vr(tag), value) for tag, value in again.meta.items()]
    findings = []
    in_pixels = scan.in_pixels(file.data, *pixel_texts.place_of(file))
    for finding in chain(scan.findings([*meta, *again.elements], _ASCII), in_pixels):
        findings.append(finding)
        if len(findings) == MOST_FINDINGS:
            break
    if findings:
        raise _No(
            *findings,
            "the scan after de-identification found identifiers of the original. Remove these elements by a `recipe`"
            " of the route's `deidentify`, or correct the file",
        )
