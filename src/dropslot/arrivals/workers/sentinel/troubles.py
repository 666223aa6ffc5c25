"""Says, once each, as events, that a trouble began and that it is over. What was said is in rows, so that neither a
restart nor a second sentinel says it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from django.db import transaction

from dropslot.arrivals.models import OpenTrouble
from dropslot.arrivals.registry import Late
from dropslot.audit.chain import Entry, append, become_only_writer
from dropslot.audit.event_payloads import Trouble, TroubleOver
from dropslot.audit.kinds import Kind, entry
from dropslot.core.troubles import TroubleKind

log = structlog.get_logger()
LOOKS = (
    2  # in a row: what passes by itself between two looks is no trouble, and a trouble that flickers is one
)


class Troubles:
    """What one sentinel found at its last looks. `by` is its machine."""

    def __init__(self, by: str) -> None:
        self._by = by
        self._seen: Counter[str] = Counter()  # looks in a row in which it was found, by key
        self._gone: Counter[str] = Counter()  # in which an open one was not found
        self._lasting: dict[str, tuple[Late, datetime]] = {}  # with its beginning
        self._said: set[str] = set()  # those of them that somebody has said

    def see(self, found: Iterable[Late]) -> None:
        """One more look."""
        late = {one.key: one for one in found}
        self._seen = Counter({key: self._seen[key] + 1 for key in late})
        for key, one in late.items():
            if self._seen[key] >= LOOKS:
                _, began = self._lasting.get(key, (one, one.since or datetime.now(UTC)))
                self._lasting[key] = one, began

    @property
    def kinds(self) -> list[TroubleKind]:
        """Of the troubles that last, said or not."""
        return [late.kind for late, _ in self._lasting.values()]

    def say(self, undecided: Collection[TroubleKind] = ()) -> None:
        """Record what began and what is over since the last time. Troubles of `undecided` kinds are not over by not
        being found. Raises DatabaseError: then the next time says it."""
        known = {row.key: row for row in OpenTrouble.objects.all()}
        missing = [row for key, row in known.items() if not self._seen[key] and row.trouble not in undecided]
        gone = Counter({row.key: self._gone[row.key] + 1 for row in missing})
        self._said |= known.keys() & self._lasting.keys()
        new = [
            key for key in self._lasting if key not in known and (self._seen[key] or key not in self._said)
        ]
        over = [row for row in missing if gone[row.key] >= LOOKS]
        if new or over:
            self._record(new, over)
        self._reword(known)
        self._gone = gone
        self.stand_by()

    def stand_by(self) -> None:
        """Leave it to another sentinel to say what began and what is over."""
        self._lasting = {key: one for key, one in self._lasting.items() if self._seen[key]}
        self._said &= self._lasting.keys()

    def _record(self, new: Sequence[str], over: Sequence[OpenTrouble]) -> None:
        now = datetime.now(UTC)
        rows = {key: _row(*self._lasting[key], self._by) for key in new}
        with transaction.atomic():
            become_only_writer()  # another sentinel may be saying the same
            for key in OpenTrouble.objects.filter(key__in=list(rows)).values_list("key", flat=True):
                del rows[key]
            ended = [row for row in over if OpenTrouble.objects.filter(key=row.key).delete()[0]]
            brief = [row for key, row in rows.items() if not self._seen[key]]  # while the database was away
            OpenTrouble.objects.bulk_create([row for row in rows.values() if row not in brief])
            append([*map(_began, rows.values()), *(_over(row, now) for row in (*ended, *brief))])
        _log([*rows.values()], [*ended, *brief])

    def _reword(self, known: Mapping[str, OpenTrouble]) -> None:
        """What is said of a trouble changes, as how full a disk is."""
        for key, (late, _) in self._lasting.items():
            row = known.get(key)
            if row is not None and self._seen[key] and (row.what, row.remedy) != (late.what, late.remedy):
                OpenTrouble.objects.filter(key=key).update(what=late.what, remedy=late.remedy)


def _row(late: Late, began: datetime, by: str) -> OpenTrouble:
    return OpenTrouble(
        key=late.key,
        trouble=late.kind.value,
        about=late.about,
        what=late.what,
        remedy=late.remedy,
        route=late.route,
        study=late.study,
        by=by,
        began_at=began,
    )


def _began(row: OpenTrouble) -> Entry:
    return entry(Kind.TROUBLE, "", _payload(row))


def _over(row: OpenTrouble, now: datetime) -> Entry:
    began = f"{row.began_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    seconds = max(0, int((now - row.began_at).total_seconds()))
    data: TroubleOver = {**_payload(row), "began_at": began, "seconds": seconds}
    return entry(Kind.TROUBLE_OVER, "", data)


def _payload(row: OpenTrouble) -> Trouble:
    data: Trouble = {
        "trouble": row.trouble,
        "about": row.about,
        "what": row.what,
        "remedy": row.remedy,
        "route": row.route,
        "by": row.by,
    }
    if row.study:
        data["study"] = row.study
    return data


def _log(new: Sequence[OpenTrouble], over: Sequence[OpenTrouble]) -> None:
    for row in new:
        line = f"Trouble: {row.about}: {row.what}. Next: {row.remedy}"
        log.error(line, action="trouble", plain=True, trouble=row.trouble, route=row.route)
    for row in over:
        line = f"The trouble is over: {row.about}: {row.what}"
        log.info(line, action="trouble_over", plain=True, trouble=row.trouble, route=row.route)
