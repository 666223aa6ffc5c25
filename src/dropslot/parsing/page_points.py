"""How the points of a rendered page lie in memory: for who renders, and for who reads it without loading pdfium."""

from __future__ import annotations

BYTES_A_POINT = 3


def stride_of(width: int) -> int:
    """Bytes from one row of points to the next."""
    return (width * BYTES_A_POINT + 3) // 4 * 4
