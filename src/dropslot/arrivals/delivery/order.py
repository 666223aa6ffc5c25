"""Whose turn it is: arrivals that want the same names at a destination are planned in the order of their drops.

All others overtake freely. Nobody waits in a circle: an arrival that has written down its intent waits for no turn, and
each of the others has a place of its own in the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from dropslot.arrivals.delivery.rivals import Rival, Rivals
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.intake.drop_times import in_order
from dropslot.checks.bag import PAYLOAD
from dropslot.config import Route
from dropslot.core.errors import NameInFlight
from dropslot.core.names import escape
from dropslot.core.states import State
from dropslot.core.templates import Template

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
        for item in work.listing.items:
            if work.bag is None:
                yield leg.target.url, item.path
            elif item.path.startswith(PAYLOAD):
                yield leg.target.url, item.path.removeprefix(PAYLOAD)


def reaches(route: Route, fields: Mapping[str, str], url: str) -> bool:
    """Whether an arrival with these fields may be delivered to a place; one that is not known yet may be anything."""
    for rule in route.deliver:
        values = _template(rule.to).match(url)
        if values is not None and all(fields.get(key, value) == value for key, value in values.items()):
            return True
    return False


def _behind(works: Sequence[Work]) -> dict[str, NameInFlight]:
    """For each work that must wait, the reason."""
    wanted: dict[str, dict[str, Work]] = {}
    for work in works:
        for url, name in names_of(work):
            wanted.setdefault(url, {})[name] = work
    found: dict[str, NameInFlight] = {}
    for rival in Rivals(works, lambda route, fields: any(reaches(route, fields, url) for url in wanted)):
        for name, work in _wanted_by(rival, wanted):
            found.setdefault(work.id, _after(rival, name))
    return found


def _wanted_by(rival: Rival, wanted: _Wanted) -> Iterator[tuple[str, Work]]:
    for url, names in wanted.items():
        if reaches(rival.folders.route, rival.arrival.fields, url):
            for name in rival.common(names):
                if in_order(rival.arrival) < in_order(names[name].arrival):
                    yield name, names[name]


def _after(rival: Rival, name: str) -> NameInFlight:
    where = {State.WAITING: "inbox", State.RETRYING: "processing, to be retried"}
    arrival = rival.arrival
    return NameInFlight(
        f"{escape(name)} is also in {arrival.name} (arrival {arrival.id}), which was dropped earlier and is not "
        f"finished: it is in {where.get(State(arrival.state), 'processing')}",
        next_step="This one follows when that one is done or refused; `dropslot pending` says what that one waits for",
    )
