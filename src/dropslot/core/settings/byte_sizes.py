"""Sizes in bytes, as people write them."""

from __future__ import annotations

import math
import re
from typing import Any

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?)?B?", re.ASCII)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_LARGEST_SIZE = 2**63 - 1


def size(value: Any) -> int:
    """Bytes as a number, or a text such as `20MB` (decimal) or `1GiB` (binary)."""
    if isinstance(value, int) and not isinstance(value, bool):
        size_bytes = value
    elif isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        prefix = found[2] or ""
        base = 1024 if prefix.endswith("i") else 1000
        size_bytes = _whole(float(found[1]) * base ** _POWERS[prefix[:1].upper()])
    else:
        raise ValueError("expected a size: bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB")
    if not 0 <= size_bytes <= _LARGEST_SIZE:
        raise ValueError("expected a size between 0 and 8 EiB")
    return size_bytes


def _whole(number: float) -> int:
    return int(number) if math.isfinite(number) else -1
