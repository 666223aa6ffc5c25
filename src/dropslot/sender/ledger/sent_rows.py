"""What `dropslot sent` lists."""

from __future__ import annotations

from dropslot.sender.file_states import SentFile
from dropslot.sender.ledger.ledger import Ledger

_QUERY = """
SELECT file.path, file.source, file.size_bytes, file.sha256, file.state, file.at, bag.name, target.study, target.inbox,
    bag.arrival, file.reason
FROM file JOIN bag ON bag.id = file.bag JOIN target ON target.id = file.target
"""


def sent(ledger: Ledger, since: str = "", bag: str = "") -> list[SentFile]:
    """The files that were sent, the oldest first; `since`: those whose state is newer (UTC, ISO 8601)."""
    where = "WHERE file.at >= ? AND (? = '' OR bag.name = ?) ORDER BY file.id"
    return [SentFile(*row) for row in ledger.rows(f"{_QUERY} {where}", since, bag, bag)]
