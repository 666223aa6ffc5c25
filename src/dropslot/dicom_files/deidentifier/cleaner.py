"""Applies the profile to a data set: each element, at every depth, is removed, emptied, replaced, cleaned or kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydicom.uid import UID

from dropslot.dicom_files.deidentifier import profile, texts
from dropslot.dicom_files.deidentifier.elements import Element, known_vr
from dropslot.dicom_files.deidentifier.identifiers import KINDS, Identifiers
from dropslot.dicom_files.deidentifier.profile import CLEAN, DUMMY, EMPTY, KEEP, REMOVE
from dropslot.dicom_files.deidentifier.recipes import Change
from dropslot.dicom_files.deidentifier.replacing import ACCESSION, PATIENT, Replacer, dummy, even

Action = str | Change
SOP_CLASS = 0x00080016
_OF_UIDS = "0123456789."
_TEXT_VALUE = 0x0040A160  # is in no row of the table; the row of its sequence covers it
_CODES = range(0x00080100, 0x00080125)
_FREE = frozenset({"LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_SEQUENCES_WITH_CONTENT = frozenset({0x0040A730, 0x00700001})
_CURVES, _OVERLAYS = range(0x5000, 0x5100), range(0x6000, 0x6100)
_PRIVATE_CREATORS = range(0x10, 0x100)


class Cleaner:
    """Cleans the data sets of one file. `patients`: its own PatientID and pseudonym. `private`: private elements that
    stay."""

    def __init__(
        self,
        actions: Mapping[int, Action],
        options: Sequence[str],
        dates: str,
        replacer: Replacer,
        wanted: Identifiers,
        patients: Mapping[str, str],
        private: frozenset[tuple[str, int, int]] = frozenset(),
    ) -> None:
        self._actions, self._dates, self._replacer = actions, dates, replacer
        self._wanted, self._banned, self._patients = wanted, wanted.banned(), patients
        self._safe_private = private | (
            profile.safe_private() if "retain-safe-private" in options else frozenset()
        )
        self._keeps_uids = "retain-uids" in options
        self.made: set[str] = set()

    def clean(
        self, elements: Sequence[Element], around: Sequence[str], around_action: str = ""
    ) -> list[Element]:
        """The elements of a data set that stay, as they are to be written. `around_action`: what happens to the
        sequence that it is in."""
        encodings = texts.encodings_of(elements, around)
        creators = _creators(elements)
        cleaned = (self._element(element, encodings, creators, around_action) for element in elements)
        found = [element for element in cleaned if element is not None]
        return _without_lonely_creators(found)

    def _element(
        self, element: Element, encodings: Sequence[str], creators: Mapping[int, str], around_action: str
    ) -> Element | None:
        action = self._action(element, creators, around_action)
        if action == REMOVE:
            return None
        if element.items is not None:
            return self._sequence(element, encodings, action)
        if isinstance(action, Change):
            return self._changed(element, action, encodings)
        if action == KEEP:
            return element
        return self._replaced(element, str(action), encodings)

    def _action(self, element: Element, creators: Mapping[int, str], around_action: str) -> Action:
        tag = element.tag
        group, number = tag >> 16, tag & 0xFFFF
        if tag in self._actions:
            action = self._actions[tag]
            return DUMMY if action == KEEP and around_action == DUMMY and element.vr in _FREE else action
        if number == 0 or group in (0x0000, 0x0002, 0x0004) or group in _CURVES or group in _OVERLAYS:
            return REMOVE
        if group % 2:
            return self._private(element, group, number, creators)
        if not known_vr(tag):
            return REMOVE
        return self._by_vr(element, known_vr(tag), around_action)

    def _private(self, element: Element, group: int, number: int, creators: Mapping[int, str]) -> Action:
        if number in _PRIVATE_CREATORS:
            return KEEP
        creator = creators.get(group << 8 | number >> 8, "")
        if (creator, group, number & 0xFF) not in self._safe_private:
            return REMOVE
        return self._by_vr(element, element.vr, "")

    def _by_vr(self, element: Element, vr: str, around_action: str) -> Action:
        """The action for an element that the table does not have."""
        if vr == "SQ":
            return around_action or KEEP
        if vr in texts.TIMES:
            return {"keep": KEEP, "shift": CLEAN}.get(self._dates, DUMMY)
        if vr == "PN" or element.tag == _TEXT_VALUE:
            return CLEAN if around_action == CLEAN and vr != "PN" else DUMMY
        if vr == "UI":
            return KEEP if self._keeps_uids or element.tag == SOP_CLASS else profile.UID
        if around_action in (DUMMY, CLEAN, "content") and vr in _FREE:
            if element.tag in _CODES and around_action != DUMMY:
                return KEEP
            return CLEAN if around_action == CLEAN else DUMMY
        return KEEP

    def _sequence(self, element: Element, encodings: Sequence[str], action: Action) -> Element:
        if action == EMPTY:
            return replace(element, items=[], undefined_items=[])
        inside = action if action in (DUMMY, CLEAN, "content") else ""
        if action == DUMMY and element.tag in _SEQUENCES_WITH_CONTENT:
            inside = "content"
        items = [self.clean(item, encodings, str(inside)) for item in element.items or ()]
        return replace(element, items=items)

    def _changed(self, element: Element, change: Change, encodings: Sequence[str]) -> Element:
        if change.days is not None:
            shifted = Replacer(b"", {}, change.days)
            return self._with(
                element, "\\".join(shifted.date(each) or "" for each in texts.values_of(element, encodings))
            )
        return self._with(element, change.text, encodings)

    def _replaced(self, element: Element, action: str, encodings: Sequence[str]) -> Element:
        values = texts.values_of(element, encodings) if element.value else []
        vr = known_vr(element.tag) or element.vr
        if not any(values):
            return element if not element.value else self._with(element, "")
        if element.tag == profile.PATIENT_ID or element.tag == profile.PATIENT_NAME:
            return self._with(element, self._patient_of(element, values))
        if element.tag == profile.ACCESSION_NUMBER:
            return self._with(element, self._replacer.pseudonym(ACCESSION, values[0]))
        if vr == "UI":
            return self._with(element, "\\".join(self._uid(value, element.tag) for value in values))
        if action == CLEAN:
            return self._cleaned(element, vr, values, encodings)
        if action == EMPTY:
            return replace(element, value=b"")
        self.made.add(dummy(vr).decode("latin-1").strip(" \0"))
        return replace(element, value=dummy(element.vr if element.vr != "UN" else vr))

    def _patient_of(self, element: Element, values: Sequence[str]) -> str:
        """The pseudonym of the file's own patient, or of another whose PatientID is in a sequence."""
        if element.tag == profile.PATIENT_ID and values[0] not in self._patients:
            return self._replacer.pseudonym(PATIENT, values[0])
        return next(iter(self._patients.values()))

    def _uid(self, value: str, tag: int) -> str:
        is_kind = tag in KINDS and value not in self._wanted.uids and not value.strip(_OF_UIDS)
        if not value or UID(value).name != value or is_kind:
            return value
        return self._replacer.uid(value)

    def _cleaned(self, element: Element, vr: str, values: Sequence[str], encodings: Sequence[str]) -> Element:
        if vr == "AE":
            return element
        if vr == "TM":
            return element
        if vr in texts.TIMES:
            shifted = [self._replacer.date(value) or "" if value else "" for value in values]
            return self._with(element, "\\".join(shifted))
        if vr in _FREE:
            return self._with(
                element, "\\".join(texts.without(value, self._banned) for value in values), encodings
            )
        return replace(element, value=dummy(element.vr))

    def _with(self, element: Element, text: str, encodings: Sequence[str] = ("ascii",)) -> Element:
        vr = element.vr if element.vr != "UN" else known_vr(element.tag)
        if vr in {"DA", "DT"} or element.tag in (
            profile.PATIENT_ID,
            profile.PATIENT_NAME,
            profile.ACCESSION_NUMBER,
        ):
            self.made.update(text.split("\\"))
        return replace(element, value=even(texts.bytes_of(text, encodings), element.vr))


def _creators(elements: Sequence[Element]) -> dict[int, str]:
    """The private creator of each block: of its group and the first byte of its numbers."""
    return {
        (element.tag >> 16) << 8 | element.tag & 0xFF: element.value.decode("latin-1").strip(" \0")
        for element in elements
        if element.tag >> 16 & 1 and (element.tag & 0xFFFF) in _PRIVATE_CREATORS
    }


def _without_lonely_creators(elements: list[Element]) -> list[Element]:
    """Without the creators of blocks that are empty now."""
    blocks = {(each.tag >> 16) << 8 | (each.tag & 0xFFFF) >> 8 for each in elements if each.tag >> 16 & 1}
    return [
        each
        for each in elements
        if not (
            each.tag >> 16 & 1
            and (each.tag & 0xFFFF) in _PRIVATE_CREATORS
            and (each.tag >> 16) << 8 | each.tag & 0xFF not in blocks
        )
    ]
