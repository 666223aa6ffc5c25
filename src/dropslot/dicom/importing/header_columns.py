"""Values of headers as the database holds them."""

from __future__ import annotations


def column(text: str, most: int) -> str:
    """A value from a header as a column of at most so many characters can hold it."""
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode()[:most]
