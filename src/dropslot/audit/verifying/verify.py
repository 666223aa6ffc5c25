"""Verifies that the chain of events is unchanged: streaming, in constant memory, while others append.

Changing an event breaks its own hash. Removing or inserting one breaks the count or the next hash. Cutting off the
end, or rewriting everything after an event, contradicts a head that was kept elsewhere: in a receipt, a mail, a
notebook.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import DatabaseError, connections

from dropslot.audit import triggers
from dropslot.audit.canonical import canonical
from dropslot.audit.chain import GENESIS, Head, hash_of
from dropslot.audit.models import Event, Receipt
from dropslot.audit.verification_report import Report
from dropslot.core.signing import sshsig
from dropslot.core.signing.signers import NAMESPACE

PAGE = 2_000
_LOOKUP = 500  # SQLite's older limit of parameters is 999
_EVENT_COLUMNS = ("seq", "at", "kind", "arrival", "data", "hash")


@dataclass(slots=True)
class ChainReport(Report):
    """`checked` counts events. `head` is the last event, to be kept elsewhere."""

    receipts: int = 0
    signatures: int = 0
    head: Head = GENESIS


def chain(
    *,
    using: str = "default",
    heads: Iterable[Head] = (),
    signers: Collection[bytes] | None = None,
    report: ChainReport | None = None,
) -> ChainReport:
    """Verify every event, every receipt and the guards of their tables.

    `heads` were kept elsewhere. `signers` are the public keys of receipts (`keys.allowed_signers`); without them no
    signature is checked. An event that cannot be read is a fault. `report` is filled while it goes on, for who
    watches it from another thread.
    """
    report = report or ChainReport()
    for guard in triggers.missing(connections[using]):
        report.fault(
            guard, "it is missing or switched off, so rows could be changed; the chain shows whether any were"
        )
    # Receipts first: the events that they name are then verified in the pass that follows.
    _verify_receipts(report, using, signers)
    _verify_heads(report, using, ((head, "a head that was kept elsewhere") for head in heads))
    _verify_events(report, using)
    return report


def stretch(after: Head, *, using: str = "default") -> ChainReport:
    """Verify the next events after one that was verified before, and that it still stands; PAGE events at most. The
    report's head is how far that is. Raises DatabaseError."""
    report = ChainReport(head=after)
    _verify_heads(report, using, [(after, f"event {after.seq}")])
    if report.ok:
        rows = _page(Event._meta.db_table, _EVENT_COLUMNS, using, "WHERE seq > %s", after[:1])
        _verify_rows(report, rows, after)
    return report


def _verify_events(report: ChainReport, using: str) -> None:
    _verify_rows(report, pages(Event._meta.db_table, _EVENT_COLUMNS, using=using), GENESIS)


def _verify_rows(report: ChainReport, rows: Iterable[tuple[Any, ...]], after: Head) -> None:
    seq, previous = after
    try:
        for found, at, kind, arrival, data, stored in rows:
            report.checked += 1
            if type(found) is not int or found <= seq:
                report.fault(
                    f"event {found!r}", f"it stands after event {seq}: it was not written by dropslot"
                )
                continue
            if found != seq + 1:
                report.fault(f"event {found}", _gap(seq, found))
            elif not _matches(stored, previous, found, at, kind, arrival, data):
                report.fault(f"event {found}", _CHANGED)
            seq, previous = found, stored
    except DatabaseError as error:
        report.fault(
            f"event {seq + 1}",
            f"it, or one soon after it, cannot be read, so the rest is not verified: {error}",
        )
    if report.checked:
        report.head = Head(seq, previous)


_CHANGED = (
    "its hash does not fit: it was changed after it was written, or the event before it was replaced. "
    "The events before it are intact"
)


def _gap(last: int, found: int) -> str:
    missing = f"event {last + 1} is" if found == last + 2 else f"events {last + 1} to {found - 1} are"
    return f"{missing} missing before it: removed after writing"


def _matches(stored: Any, previous: Any, *parts: Any) -> bool:
    try:
        return bool(stored == hash_of(previous, *parts))
    except (TypeError, UnicodeEncodeError):
        return False  # SQLite lets an editor put numbers and blobs where text belongs


def _verify_receipts(report: ChainReport, using: str, signers: Collection[bytes] | None) -> None:
    try:
        _verify_heads(report, using, _receipt_heads(report, using, signers))
    except DatabaseError as error:
        report.fault("receipts", f"they cannot be read: {error}; the rest is not verified")


def _receipt_heads(
    report: ChainReport, using: str, signers: Collection[bytes] | None
) -> Iterator[tuple[Head, str]]:
    columns = ("arrival", "body", "signature")
    for arrival, body, signature in pages(Receipt._meta.db_table, columns, using=using):
        report.receipts += 1
        try:
            head = head_of(arrival, body)
            if signers is not None:
                sshsig.verify(signature, NAMESPACE, body.encode("utf-8"), signers)
                report.signatures += 1
        except sshsig.BadSignature as error:
            report.fault(f"receipt {arrival}", f"its signature is not valid: {error}")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            report.fault(f"receipt {arrival}", f"its text is not a receipt of this arrival: {error}")
        else:
            yield head, f"receipt {arrival}"


def head_of(arrival: str, body: str) -> Head:
    """The head in a receipt. Raises ValueError, TypeError or KeyError if it is no receipt of `arrival`."""
    content = json.loads(body)
    if canonical(content) != body or content["arrival"] != arrival:
        raise ValueError("it is not canonical JSON or names another arrival")
    head = Head(content["head"]["seq"], content["head"]["hash"])
    if type(head.seq) is not int or type(head.hash) is not str:
        raise ValueError("its head is malformed")
    return head


def _verify_heads(report: ChainReport, using: str, heads: Iterable[tuple[Head, str]]) -> None:
    waiting = iter(heads)
    while batch := list(islice(waiting, _LOOKUP)):
        stored = hashes(using, [head.seq for head, _ in batch])
        for head, where in batch:
            if head == GENESIS or stored.get(head.seq) == head.hash:
                continue
            report.fault(where, _contradiction(head, stored.get(head.seq)))


def _contradiction(head: Head, found: str | None) -> str:
    if found is None:
        return f"it proves an event {head.seq}, which is gone: the end of the chain was removed"
    return f"it proves event {head.seq} to be {head.hash}, but the chain has {found}: the chain was rewritten"


def hashes(using: str, numbers: Sequence[int]) -> dict[int, str]:
    """The stored hash of each of these events that is there; 500 at most."""
    marks = ", ".join(["%s"] * len(numbers))
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT seq, hash FROM {Event._meta.db_table} WHERE seq IN ({marks})", list(numbers))
        return dict(cursor.fetchall())


def pages(table: str, columns: Sequence[str], *, using: str) -> Iterator[tuple[Any, ...]]:
    """All rows in the order of the first column, which is the key.

    A page at a time, so that no transaction, write-ahead log or memory grows with the table.
    """
    key, rows = columns[0], _page(table, columns, using, "", ())
    while rows:
        yield from rows
        rows = _page(table, columns, using, f"WHERE {key} > %s", rows[-1][:1])


def _page(
    table: str, columns: Sequence[str], using: str, where: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    text = f"SELECT {', '.join(columns)} FROM {table} {where} ORDER BY {columns[0]} LIMIT {PAGE}"
    with connections[using].cursor() as cursor:
        cursor.execute(text, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
