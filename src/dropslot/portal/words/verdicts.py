"""The verdicts on the completeness of series in words, with the colour of their label."""

from __future__ import annotations

from dropslot.portal.words.states import Told

VERDICTS = {
    "VERIFIED": Told("Verified", "Its images are exactly those that the sending archive listed.", "success"),
    "CONSISTENT": Told(
        "Consistent", "Its headers say how many images there are, and all are there.", "primary"
    ),
    "UNKNOWN": Told("Unknown", "Nothing says how many images there should be.", "secondary"),
    "INCOMPLETE": Told("Incomplete", "Images are missing, or not whole.", "danger"),
}


def verdict(name: str) -> Told:
    """One verdict; a name that is not known here is shown as it is."""
    return VERDICTS.get(name) or Told(name, "", "secondary")
