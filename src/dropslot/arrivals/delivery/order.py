"""Whose turn it is: arrivals that want the same names at a destination are planned in the order of their drops.

All others overtake freely. Arrivals cannot wait in a circle: one that has recorded its intent waits for no turn, and
the others are strictly ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from django.utils import timezone

from dropslot.arrivals.delivery.rivals import Rival, Rivals
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake.drop_times import in_order
from dropslot.arrivals.models import Arrival
from dropslot.audit.models import Event
from dropslot.config import Route
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.core.templates import Piece, Template

_template = lru_cache(maxsize=1024)(Template)
_Wanted = Mapping[str, Mapping[str, Work]]  # by the place's URL and the item


def turns(works: Sequence[Work]) -> Callable[[Work], None]:
    """A step that raises NameInFlight for each work that is not the first of all unfinished arrivals that want one of
    its names. One look, which is one query, for all of `works`; no two of them want the same name."""
    asking = [work for work in works if work.legs and not work.committed]
    behind = _behind(asking) if asking else {}

    def require(work: Work) -> None:
        if work.id in behind:
            raise behind[work.id]

    return require


def names_of(work: Work) -> Iterator[tuple[str, str]]:
    """What an arrival wants: the URL of each place, and the items there."""
    for leg in work.legs:
        for path in work.contents.paths((leg.part or work.listing).items):
            yield leg.target.url, path


def reached(route: Route, fields: Mapping[str, str], urls: Collection[str]) -> Iterator[str]:
    """Those of the places to which an arrival with these fields may be delivered. A field that is not known yet may be
    anything; a place that two rules give may come twice."""
    for rule in route.deliver:
        pieces = _template(rule.to).pieces
        if all(not piece.field or (piece.field in fields and not piece.spec) for piece in pieces):
            url = "".join(piece.literal + fields.get(piece.field, "") for piece in pieces)
            yield from [url] if url in urls else []
        else:
            yield from (url for url in urls if _may_give(pieces, fields, url))


def _may_give(pieces: Sequence[Piece], fields: Mapping[str, str], text: str) -> bool:
    """Whether the pieces may give the text, each unknown field being a part of one path component."""
    ends = {0}  # a set: a sender chooses in how many ways a name can be parted
    for piece in pieces:
        starts = {at + len(piece.literal) for at in ends if text.startswith(piece.literal, at)}
        if not piece.field:
            ends = starts
        elif piece.field in fields and not piece.spec:
            known = fields[piece.field]
            ends = {at + len(known) for at in starts if text.startswith(known, at)}
        else:
            ends = {end for at in starts for end in range(at + 1, _end_of_component(text, at) + 1)}
    return len(text) in ends


def _end_of_component(text: str, at: int) -> int:
    end = text.find("/", at)
    return len(text) if end < 0 else end


def _behind(works: Sequence[Work]) -> dict[str, NameInFlight]:
    """For each work that must wait, the reason."""
    wanted: dict[str, dict[str, Work]] = {}
    for work in works:
        for url, name in names_of(work):
            wanted.setdefault(url, {})[name] = work
    found: dict[str, NameInFlight] = {}
    rivals = Rivals(
        works, lambda route, fields: any(reached(route, fields, wanted)), set().union(*wanted.values())
    )
    for rival in rivals:
        for name, work in _wanted_by(rival, wanted):
            if work.id not in found:
                found[work.id] = _after(rival, name)
            if len(found) == len(works):
                return found  # behind one that is stuck there may be thousands
    return found


def _wanted_by(rival: Rival, wanted: _Wanted) -> Iterator[tuple[str, Work]]:
    for url in set(reached(rival.folders.route, rival.arrival.fields, wanted)):
        for name in rival.common(names := wanted[url]):
            if in_order(rival.arrival) < in_order(names[name].arrival):
                yield name, names[name]


def _after(rival: Rival, name: str) -> NameInFlight:
    where = {State.WAITING: "inbox", State.RETRYING: "processing, to be retried"}
    arrival = rival.arrival
    error = NameInFlight(
        f"{escape(name)} is also in {arrival.name} (arrival {arrival.id}), which was dropped earlier and is not "
        f"finished: it is in {where.get(State(arrival.state), 'processing')}",
        next_step="This one follows when that one is done or refused; `dropslot pending` says what that one waits for",
    )
    error.again_in = _seconds_of(arrival)
    return error


def _seconds_of(rival: Arrival) -> float | None:
    """Until it may have ended: not before its next attempt, and at work in a tenth of the time that it took so far.
    Else those that wait in a row, each for the one before it, would wait that much longer each."""
    now = timezone.now()
    if rival.state == State.RETRYING:
        due = Arrival.objects.filter(id=rival.id).values_list("due_at", flat=True).first()
        return (due - now).total_seconds() if due else None
    if rival.state == State.PROCESSING:
        begun = Event.objects.filter(arrival=rival.id, kind__in=("started", "taken-over")).last()
        return (now - datetime.fromisoformat(begun.at)).total_seconds() / 10 if begun else None
    return None
