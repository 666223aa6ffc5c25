"""The parts of an arrival whose paths differ by item: the items that go to one target, and the folders that they need.

The commit of the intent records the target of each item in its row. From then on that counts: an interrupted delivery
is finished at the same places, even if the fields give other values now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from dropslot.arrivals.delivery.paths import item_values
from dropslot.arrivals.delivery.paths.own_fields import asked_of_items, used_by
from dropslot.arrivals.delivery.work import Leg, Work
from dropslot.arrivals.models import Delivery
from dropslot.config import Deliver
from dropslot.core.errors import Refused
from dropslot.core.names import escape
from dropslot.core.templates import Template
from dropslot.destinations.base import Rules, Target
from dropslot.files.listing import Item, Listing
from dropslot.files.walk import MAX_FAULTS

PARTS = "parts"  # key in the evidence: the rule and other resolved values, by the URL of each part
_Listed = Sequence[tuple[str, Item]]  # path below the target, and the item


class Part(NamedTuple):
    """The items that go to one target."""

    target: Target
    listing: Listing


def parts_of(work: Work, rules: Sequence[Deliver], faults: list[str]) -> list[tuple[Deliver, list[Part]]]:
    """The parts for each of these rules. If there are none, `faults` gets the reason. Raises as
    `item_values.of_items`."""
    delivered = [pair for item in work.contents.listing.items if (pair := _delivered(work, item))]
    if not delivered:
        faults.append(f"{escape(work.name)} has no item, so that no folder can be found for it")
        return []
    known = {rule.to: _recorded(work, rule) for rule in rules}
    unknown = [pair for pair in delivered if not all(pair[0] in targets for targets in known.values())]
    wanted = set().union(*(asked_of_items(work.config, rule, work.route, work.values) for rule in rules))
    values = item_values.of_items(work, wanted, unknown, faults)
    for rule in rules:
        left = [path for path in values if path not in known[rule.to]]
        known[rule.to] |= dict(_without_faults(_targets(work, rule, left, values), faults))
    if faults:
        return []
    found = [(rule, _parts(work, delivered, known[rule.to])) for rule in rules]
    faults.extend(reason for _, several in found for reason in _twice(several))
    return [] if faults else found


def _delivered(work: Work, item: Item) -> tuple[str, Item] | None:
    path = work.contents.path_of(item.path)
    return None if path is None else (path, item)


def describe(legs: Iterable[Leg]) -> dict[str, Any]:
    """The values of each part that its target needs and that otherwise only the items give."""
    return {
        leg.target.url: {
            "to": leg.rule.to,
            "must_exist": leg.target.must_exist,
            "group": leg.target.rules.group,
        }
        for leg in legs
        if leg.part is not None
    }


def recorded_urls(work: Work, rule: Deliver) -> list[str]:
    """The targets to which an earlier attempt may have published for this rule."""
    parts = work.arrival.evidence.get(PARTS, {}) if work.committed else {}
    return [url for url, part in parts.items() if part["to"] == rule.to]


def _recorded(work: Work, rule: Deliver) -> dict[str, Target]:
    """The recorded target of each item, by its path."""
    urls = recorded_urls(work, rule)
    if not urls:
        return {}
    parts = work.arrival.evidence[PARTS]
    targets = {url: _target_at(rule, url, parts[url]) for url in urls}
    rows = Delivery.objects.filter(arrival_id=work.id, place__url__in=urls)
    return {item: targets[url] for item, url in rows.values_list("item", "place__url").iterator()}


def _target_at(rule: Deliver, url: str, part: Mapping[str, Any]) -> Target:
    rules = replace(Rules.of(rule), group=part["group"])
    return Target(url, Template(rule.to).fixed, part["must_exist"], rules)


def _targets(
    work: Work, rule: Deliver, paths: Iterable[str], values: Mapping[str, dict[str, str]]
) -> Iterator[tuple[str, Target | str]]:
    """The target of each item, or the reasons why it has none."""
    fields = sorted(used_by(rule))
    made: dict[tuple[str | None, ...], Target | list[str]] = {}
    for path in paths:
        own = work.values | values[path]
        key = tuple(own.get(field) for field in fields)
        if key not in made:
            try:
                made[key] = Target.of(rule, own, marks=work.keeps_marks)
            except Refused as refusal:
                made[key] = refusal.reasons
        target = made[key]
        if isinstance(target, Target):
            yield path, target
        else:
            yield from ((path, f"{escape(path)}: {reason}") for reason in target)


def _without_faults(
    found: Iterable[tuple[str, Target | str]], faults: list[str]
) -> Iterator[tuple[str, Target]]:
    for path, target in found:
        if isinstance(target, Target):
            yield path, target
        elif len(faults) < MAX_FAULTS:
            faults.append(target)


def _parts(work: Work, delivered: _Listed, targets: Mapping[str, Target]) -> list[Part]:
    listings: dict[Target, Listing] = defaultdict(lambda: Listing(is_folder=True))
    first = targets[delivered[0][0]]
    at: dict[str, Target] = {}  # by folder: the target of its first item
    for item in work.contents.listing.items:
        path = work.contents.path_of(item.path)
        # Items that are staged but not delivered, such as a bag's tag files, go with the first item.
        target = first if path is None else targets[path]
        listings[target].items.append(item)
        for folder in _above(item.path):
            at.setdefault(folder, target)
    _add_folders(work.contents.listing, listings, at)
    return [Part(target, listing) for target, listing in listings.items()]


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


def _add_folders(listing: Listing, listings: Mapping[Target, Listing], at: Mapping[str, Target]) -> None:
    """Give each part the folders that hold its items. A folder without items goes with the first item of the nearest
    folder above that has one."""
    needed: dict[str, set[Target]] = defaultdict(set)
    for target, part in listings.items():
        for folder in {folder for item in part.items for folder in _above(item.path)}:
            needed[folder].add(target)
    for path, _ in listing.folders:
        if path not in at:
            target = next(at[folder] for folder in _above(path) if folder in at)
            for folder in (path, *_above(path)):
                needed[folder].add(target)
    for path, mtime_ns in listing.folders:
        for target in needed[path]:
            listings[target].folders.append((path, mtime_ns))


def _twice(parts: Iterable[Part]) -> Iterator[str]:
    seen: set[str] = set()
    for target, _ in parts:
        if target.url in seen:
            yield f"Items that go to {escape(target.url)} have different values for `group` or `must_exist`"
        seen.add(target.url)
