"""The numbers of PostgreSQL's advisory locks that dropslot takes: one list, so that no number is used twice.

A number counts for a whole database, not for a schema of it.
"""

from __future__ import annotations


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big", signed=True)


CHAIN = _number(b"dropslot")  # until the end of a transaction: who appends to the chain of events
IMAGES = _number(b"dropimag")  # until the end of a transaction: who records images
TAKING = _number(
    b"droptake"
)  # until the end of a transaction: who takes arrivals, if destinations have limits
MIGRATIONS = _number(b"dropmigr")  # of a session: who brings the tables up to date
