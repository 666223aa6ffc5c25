"""The name of a bag: `heart-20261129T193000Z-Brogden_A-01JE…`, which no other PC can give."""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime

from dropslot.core.names import cut
from dropslot.core.patterns import composed

_NO_LOCATION = "pc"
_OTHER = re.compile(r"\W+")
_LONGEST_LOCATION_BYTES = 60
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's, as ULIDs have them


def bag_name(study: str, location: str) -> str:
    """A name for a new bag. The time is this PC's; a wrong one does no harm, since the id alone is unique."""
    return f"{study}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{safe(location)}-{new_id()}"


def safe(location: str) -> str:
    """A location as a part of a name: letters, digits and `_`."""
    return cut(_OTHER.sub("_", composed(location)).strip("_"), _LONGEST_LOCATION_BYTES) or _NO_LOCATION


def new_id() -> str:
    """A ULID: 48 bits of time, 80 random bits."""
    number = int(time.time() * 1000) << 80 | secrets.randbits(80)
    return "".join(_DIGITS[number >> 5 * place & 31] for place in range(25, -1, -1))
