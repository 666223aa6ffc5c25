"""What stands in for the values that are replaced. The same original has the same replacement in all files of a route:
both come from the route's secret key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import date, timedelta

PATIENT, ACCESSION, UID, SHIFT = "patient", "accession", "uid", "shift"
# Dates move into the past by at least one day, and by less than ten years.
MOST_DAYS = 3650
_PSEUDONYM = 16  # characters: the most that an accession number may have
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})|(\d{4})(\d{2})?(?!\d)", re.ASCII)
# What may follow a date: a time and an offset.
_TIME = re.compile(r"(\d{2}){0,3}(\.\d{1,6})?([+-]\d{4})?", re.ASCII)
_DUMMY_TEXT = "DEIDENTIFIED"
_DUMMIES: Mapping[str, bytes] = {
    "AE": _DUMMY_TEXT.encode("ascii"),
    "AS": b"000Y",
    "CS": _DUMMY_TEXT.encode("ascii"),
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "PN": b"Deidentified",
    "TM": b"000000",
    "UR": b"about:blank",
}
_WIDTHS: Mapping[str, int] = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
_TEXTS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})


def mac(key: bytes, kind: str, original: str) -> bytes:
    """32 bytes that only the key's owner can compute from an original."""
    return hmac.digest(key, f"{kind}\0{original}".encode("utf-8", "surrogateescape"), hashlib.sha256)


def dummy(vr: str) -> bytes:
    """A value that says nothing, of an even length."""
    if vr in _WIDTHS:
        return bytes(_WIDTHS[vr])
    return even(_DUMMIES.get(vr, _DUMMY_TEXT.encode("ascii") if vr in _TEXTS else b"\0\0"), vr)


def even(value: bytes, vr: str) -> bytes:
    """The value padded to an even length, as DICOM demands."""
    return value + (b"\0" if vr in {"UI", "OB", "UN"} else b" ") if len(value) % 2 else value


class Replacer:
    """Makes replacements, and remembers them in `made`: kind and original to replacement. `given` has replacements
    that an external service made."""

    def __init__(self, key: bytes, given: Mapping[str, Mapping[str, str]], days: int = 0) -> None:
        self._key, self._given, self.days = key, given, days
        self.made: dict[tuple[str, str], str] = {}

    def uid(self, original: str) -> str:
        """Below 2.25, from 128 bits of the keyed hash."""
        found = self.made.get((UID, original))
        if found is None:
            number = int.from_bytes(mac(self._key, UID, original)[:16], "big")
            found = self.made[UID, original] = f"2.25.{number}"
        return found

    def pseudonym(self, kind: str, original: str) -> str:
        """16 letters and digits, or what the external service gave."""
        found = self._given.get(kind, {}).get(original)
        if found is None:
            letters = base64.b32encode(mac(self._key, kind, original)[:10]).decode("ascii")
            found = (kind[0].upper() + letters)[:_PSEUDONYM]
        self.made[kind, original] = found
        return found

    def begin_shift(self, patient: str) -> None:
        """From here on, dates are shifted by the days of this patient."""
        self.days = 1 + int.from_bytes(mac(self._key, SHIFT, patient)[:8], "big") % (MOST_DAYS - 1)
        self.made[SHIFT, patient] = str(-self.days)

    def date(self, value: str) -> str | None:
        """A DA, or the date in a DT, shifted; a time and an offset behind it stay. A date may have no day or month.
        None: it is not a date."""
        digits = value.replace(".", "") if value[4:5] == "." else value
        found = _DATE.match(digits)
        if found is None or not _TIME.fullmatch(digits, found.end()):
            return None
        year, month, day = (
            int(part) if part else 1 for part in (found[1] or found[4], found[2] or found[5], found[3])
        )
        try:
            moved = date(year, month, day) - timedelta(days=self.days)
        except (ValueError, OverflowError):
            return None
        size = found.end()
        return f"{moved.year:04}{moved.month:02}{moved.day:02}"[:size] + digits[size:]
