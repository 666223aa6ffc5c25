"""Undoes what spreadsheets do to texts that look like numbers, dates or formulas; where that is uncertain, reports
it.
"""

from __future__ import annotations

import re

_FORMULA_OF_TEXT = re.compile(r'=\s*"((?:[^"]|"")*)"')
_QUOTES = {
    '"': '"',
    "'": "'",
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‘": "’",
    "‚": "‘’",
    "’": "’",
    "”": "”",
}
_APOSTROPHES = "'’‘`´"
# Beginnings of Dutch names: 's-Hertogenbosch, 't Zand.
_NAME = re.compile(r"['’‘`´][st]\b")
_MONTHS = (
    "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
    "|Mrz|Mär|März|Mai|Juni|Juli|Okt|Dez"
    "|janv|févr|mars|avr|mai|juin|juil|août|sept|déc|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic"
    "|fev|set|out|dez|gen|mag|giu|lug|ott|mrt|mei|okt|maj|avg|led|úno|bře|dub|kvě|čvn|čvc|srp|zář|říj|lis|pro"
)
_BROKEN = (
    (r"=.*|@.*\(.*", "a formula"),
    (
        r"#+|#(?:N/A|NV|REF!|VALUE!|NAME\?|DIV/0!|NULL!|NUM!|SPILL!|CALC!|[A-ZÄÖÜÉ]{2,}[!?])|Err:\d+",
        "an error",
    ),
    (r"nan|NaN|<NA>|NULL|null|None|N/A|n/a", "what programs write for an empty cell"),
)
_CHANGED = (
    (r"[+-]?\d+[.,]0+|[+-]?\d+[.,]", "a number with decimal places"),
    (r"[+-]?\d+(?:[.,]\d+)?[eE][+-]\d+", "a number with an exponent"),
    (r"\d{1,3}(?:[.,'’]\d{3})+(?:[.,]\d+)?", "a number with thousands separators"),
    (r"[+-]?\d+(?:[.,]\d+)?\s?%", "a percentage"),
    (r"[$€£¥]\s?[\d.,]+|[\d.,]+\s?[$€£¥]", "an amount of money"),
    (rf"\d{{1,2}}[-./ ]{{1,2}}(?:{_MONTHS})\.?(?:[-./ ]{{1,2}}\d{{2,4}})?", "a date"),
    (rf"(?:{_MONTHS})\.?[-./ ](?:\d{{2}}|\d{{4}})", "a date"),
    (r"\d{1,2}/\d{1,2}(?:/\d{2,4})?|\d{1,2}\.\d{1,2}\.(?:\d{2,4})?|\d{1,2}-\d{1,2}-\d{2,4}", "a date"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d?:\d\d(?::\d\d)?(?:\.\d+)?", "a date"),
    (r"\d{1,2}:\d\d(?::\d\d)?(?: ?[AaPp]\.?[Mm]\.?)?", "a time"),
)
_WORDS = [(re.compile(expression), what) for expression, what in _BROKEN]
_NUMBERS = [(re.compile(expression), what) for expression, what in _CHANGED]
_LOST = re.compile(r"\w\?\w|\?\w|\w\?")


def unwrapped(cell: str) -> tuple[str, bool]:
    """The text of a cell, and whether it is certainly text: people write `="02"` so that a spreadsheet keeps it as
    text. The apostrophe of `'02`, quotation marks around a cell, and all kinds of blanks at its ends are removed.
    """
    cell = cell.strip()
    while len(cell) > 2 and cell[-1] in _QUOTES.get(cell[0], ""):
        cell = cell[1:-1].strip()
    if found := _FORMULA_OF_TEXT.fullmatch(cell):
        return found[1].replace('""', '"').strip(), True
    if cell[:1] and cell[0] in _APOSTROPHES and cell[1:2].isdigit():
        return cell[1:].strip(), False
    return cell, False


def fault_of_cell(column: str, cell: str, *, is_path: bool = False) -> str:
    """Why this cell does not have the text that somebody wrote; empty if nothing is wrong. Paths are never changed to
    numbers."""
    if "\ufffd" in cell:
        return f"{column} is {cell}: a letter was lost when the file was saved. Save it as CSV UTF-8"
    if cell[:1] and cell[0] in _APOSTROPHES and not _NAME.match(cell):
        return f"{column} is {cell}: remove the apostrophe"
    what = next(
        (
            what
            for expression, what in (_WORDS if is_path else _WORDS + _NUMBERS)
            if expression.fullmatch(cell)
        ),
        "",
    )
    if not what:
        return ""
    return (
        f"{column} is {cell}, {what}, as spreadsheets make it of other texts: make the column text, and write the cell"
        f' again. If the value is right, write ="{cell}"'
    )


def suspicion(column: str, cell: str) -> str:
    """What is suspicious about the letters of a cell; empty if nothing is."""
    if _is_read_twice(cell):
        return f"{column} is {cell}, which looks like UTF-8 that was read as something else"
    if re.fullmatch(r"\d{15}\d*", cell) and len(cell) > 15 and not cell[15:].strip("0"):
        return f"{column} is {cell}: a spreadsheet keeps 15 digits of a number, and writes 0 for the others"
    if _LOST.search(cell):
        return f"{column} is {cell}: does ? stand for a letter that was lost when the file was saved?"
    return ""


def _is_read_twice(cell: str) -> bool:
    if cell.isascii():
        return False
    for encoding in ("cp1252", "latin-1"):
        try:
            return not cell.encode(encoding).decode("utf-8").isascii()
        except UnicodeError:
            continue
    return False
