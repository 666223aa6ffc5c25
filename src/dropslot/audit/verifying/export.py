"""The whole trail as JSON lines, which `check_export.py` verifies with nothing but Python.

    {"dropslot_export":1,"version":"0.1.0"}
    {"event":{"arrival":…,"at":…,"data":{…},"kind":…,"seq":1},"hash":"…"}        every event, in order
    {"receipt":{"arrival":…,"body":"…","signature":"…"}}                          every receipt up to that
    head {"end":{"events":12,"head":{"hash":"…","seq":12},"receipts":3}}

Every line is canonical JSON. Without its last line an export is incomplete, and its check fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from dropslot.audit.canonical import canonical, entry_text
from dropslot.audit.chain import Head
from dropslot.audit.chain import head as newest_head
from dropslot.audit.models import Event, Receipt
from dropslot.audit.receipts import dropslot_version
from dropslot.audit.verifying.verify import hashes, head_of, pages

FORMAT = 1


class Exported(NamedTuple):
    """What an export holds; keep `head` apart from it."""

    events: int
    receipts: int
    head: Head


def write(stream: TextIO, *, using: str = "default") -> Exported:
    """Write every event and receipt up to the head at this moment; `stream` is text, UTF-8, newline `\\n`.

    A row that was tampered with is exported as it is, so that the check finds it. Constant memory; others may append
    meanwhile.
    """
    until = newest_head(using=using)
    stream.write(canonical({"dropslot_export": FORMAT, "version": dropslot_version()}) + "\n")
    events = receipts = 0
    for line in _event_lines(until, using):
        events += 1
        stream.write(line + "\n")
    for line in _receipt_lines(until, using):
        receipts += 1
        stream.write(line + "\n")
    exported = Exported(events, receipts, until)
    stream.write(canonical({"end": {**exported._asdict(), "head": until._asdict()}}) + "\n")
    return exported


def _event_lines(until: Head, using: str) -> Iterator[str]:
    columns = ("seq", "at", "kind", "arrival", "data", "hash")
    for seq, at, kind, arrival, data, stored in pages(Event._meta.db_table, columns, using=using):
        if seq > until.seq:
            return
        # One event is one line, even if somebody edited the row.
        one_line = data.replace("\n", " ").replace("\r", " ")
        yield f'{{"event":{entry_text(seq, at, kind, arrival, one_line)},"hash":{canonical(stored)}}}'


def _receipt_lines(until: Head, using: str) -> Iterator[str]:
    columns = ("arrival", "body", "signature")
    for arrival, body, signature in pages(Receipt._meta.db_table, columns, using=using):
        if not _is_later(arrival, body, until, using):
            yield canonical({"receipt": {"arrival": arrival, "body": body, "signature": signature}})


def _is_later(arrival: str, body: Any, until: Head, using: str) -> bool:
    """Whether a receipt was made after this export began: it names an event after the head, and this event exists. If
    it does not exist, the end of the chain was removed; then the receipt is exported and the check reports it. It
    also reports a malformed one.
    """
    try:
        head = head_of(arrival, body)
        return head.seq > until.seq and hashes(using, [head.seq]).get(head.seq) == head.hash
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
