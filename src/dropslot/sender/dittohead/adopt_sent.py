"""Files that another program sent, as far as it says so: they are known, and have no receipt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from dropslot.sender.bags.naming import new_id
from dropslot.sender.connecting import Access
from dropslot.sender.file_states import CLOSED, UPLOADED
from dropslot.sender.ledger.ledger import Ledger
from dropslot.sender.ledger.ledger_tables import KNOW_BAG
from dropslot.sender.plan import NewFile


def adopt(
    ledger: Ledger, target: int, access: Access, files: Sequence[NewFile], reason: str, at: datetime
) -> int:
    """Record these files as uploaded at that time, for this reason, in one transaction; how many there are. Nobody
    knows their digests: one that is touched later is sent once more, and the server recognizes it."""
    if not files:
        return 0
    time = f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    with ledger.writing() as connection:
        bag = connection.execute(
            "INSERT INTO bag (name, target, access, location, begun_at, state) VALUES (?, ?, ?, '', ?, ?)",
            (f"adopted-{new_id()}", target, json.dumps(asdict(access)), time, CLOSED),
        ).lastrowid
        connection.executemany(
            "INSERT OR IGNORE INTO file (bag, target, source, path, size_bytes, mtime_ns, state, at, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((bag, target, *file, UPLOADED, time, reason) for file in files),
        )
        connection.execute(KNOW_BAG, (bag,))
    return len(files)
