"""Names of files: how people see them."""

from __future__ import annotations

import unicodedata

# Backslash is escaped too, so that an escaped name reads in one way only.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escape(name: str) -> str:
    """`name` for people: what is printable stays, all else is `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`.

    Takes what os.fsdecode gives: a byte that is no UTF-8 comes out as `\\xNN`. Never raises.
    """
    if name.isascii() and name.isprintable() and "\\" not in name:
        return name
    return "".join(map(_escaped, name))


def _escaped(char: str) -> str:
    code = ord(char)
    if char != "\\" and unicodedata.category(char) not in _ESCAPED_CATEGORIES:
        return char
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
