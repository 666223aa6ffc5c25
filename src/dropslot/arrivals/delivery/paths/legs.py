"""Opens the way to each target of an arrival, and removes what earlier epochs staged there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dropslot.arrivals.delivery.paths import item_values, target_parts
from dropslot.arrivals.delivery.paths.own_fields import asked_of_items
from dropslot.arrivals.delivery.work import Leg, Work
from dropslot.arrivals.models import Arrival
from dropslot.audit.canonical import text_of
from dropslot.config import Deliver
from dropslot.core.errors import DestinationUnready, Refused, Unsupported
from dropslot.core.templates import Template
from dropslot.destinations import for_rule, for_url
from dropslot.destinations.base import Target
from dropslot.files.listing import Listing

STAGES = "stages"  # key in the evidence until the intent: rules by the URL of each target that depends on item values
NOTED_IN = "stages_noted_in"  # likewise: the epoch of the attempt that noted its targets last
_Targets = Sequence[tuple[Target, Listing | None]]


def open_known(work: Work, faults: list[str]) -> None:
    """Open the legs of the rules that need no item values. Raises DestinationUnready and similar."""
    work.complete = dict(work.arrival.evidence.get("complete", {}))
    for rule in work.route.deliver:
        if _is_by_item(work, rule):
            continue
        try:
            target = Target.of(rule, work.values, marks=work.keeps_marks)
        except Refused as refusal:
            # A name that did not match has no fields: one reason is enough.
            faults.extend([] if faults else refusal.reasons)
        else:
            _open(work, rule, [(target, None)])
    if not any(_is_by_item(work, rule) for rule in work.route.deliver):
        work.require_a_leg()


def open_by_item(work: Work, faults: list[str]) -> None:
    """Open the legs of the rules that need item values; the items are listed by now. Removes files that older epochs
    staged there. Raises DestinationUnready and similar."""
    rules = [rule for rule in work.route.deliver if _is_by_item(work, rule) and not _is_complete(work, rule)]
    if rules and work.listing.is_folder:
        for rule, found in target_parts.parts_of(work, rules, faults):
            _open(work, rule, found, faults)
    elif rules:
        _open_for_file(work, rules, faults)
    for leg in work.legs:
        work.complete.pop(leg.target.url, None)  # its rule is not complete: this part is proved again


def _open_for_file(work: Work, rules: Sequence[Deliver], faults: list[str]) -> None:
    """A single file's item values are also values of the arrival."""
    (item,) = work.contents.listing.items
    wanted = set().union(*(asked_of_items(work.config, rule, work.route, work.values) for rule in rules))
    values = item_values.of_items(work, wanted, [(item.path, item)], faults).get(item.path, {})
    work.values |= values
    work.recorded |= {name: text_of(value) for name, value in values.items()}
    for rule in rules if not faults else ():
        try:
            target = Target.of(rule, work.values, marks=work.keeps_marks)
        except Refused as refusal:
            faults.extend(refusal.reasons)
        else:
            _open(work, rule, [(target, None)], faults)


def _is_by_item(work: Work, rule: Deliver) -> bool:
    return bool(asked_of_items(work.config, rule, work.route, work.values))


def _is_complete(work: Work, rule: Deliver) -> bool:
    urls = target_parts.recorded_urls(work, rule)
    return bool(urls) and work.complete.keys() >= set(urls)


def _open(work: Work, rule: Deliver, targets: _Targets, faults: list[str] | None = None) -> None:
    """Open the legs of one rule. If the rule needs item values, `faults` gets the reasons that refuse its targets."""
    destination, urls = for_rule(rule), [target.url for target, _ in targets]
    if work.complete.keys() >= set(urls):
        return  # complete already: the others must not wait if it is away now
    taken = {leg.target.url for leg in work.legs}.intersection(urls)
    if taken:
        raise Refused([f"Two entries of `deliver` lead to the same folder, {url}" for url in sorted(taken)])
    try:
        for target, part in targets:
            try:
                drop = destination.open_checked(target, work.id, work.epoch, work.name)
            except Refused as refusal:
                if faults is None:
                    raise
                faults.extend(refusal.reasons)
                continue
            work.legs.append(Leg(rule, destination, target, drop, part, by_item=faults is not None))
            if faults is not None:
                drop.discard_older()
    except DestinationUnready as error:
        work.leave(rule, urls, error)


def discard_older(work: Work) -> None:
    """Remove files that older epochs staged: for the targets known by now, and for those of earlier attempts, whose
    values may have differed. Raises DestinationUnready and similar."""
    work.each_rule(lambda leg: leg.drop.discard_older())
    rules = {rule.to: rule for rule in work.route.deliver}
    for url, to in work.arrival.evidence.get(STAGES, {}).items():
        with suppress(Unsupported):  # config.yaml no longer has this destination
            destination = for_rule(rules[to]) if to in rules else for_url(url)
            with destination.open(Target(url, Template(to).fixed), work.id, work.epoch, work.name) as drop:
                drop.discard_older()


def to_be_noted(work: Work) -> dict[str, Any]:
    """What is to be added to the evidence: the rule of each target, by URL, that the next attempt may not find, because
    fields may give other values then. Empty: it is there."""
    found = {leg.target.url: leg.rule.to for leg in work.legs if leg.by_item}
    evidence = work.arrival.evidence
    if not found or evidence.get(NOTED_IN) == work.epoch:
        return {}
    return {STAGES: evidence.get(STAGES, {}) | found, NOTED_IN: work.epoch}


def noted_targets(arrival: str) -> dict[str, str]:
    """Of an unfinished arrival, the rule of each target that depends on its items' values, by URL, as far as its
    present or last attempt has found them; empty: it has not."""
    row = Arrival.objects.filter(id=arrival).values_list("epoch", "evidence").first()
    if row is None:
        return {}
    epoch, evidence = row
    if target_parts.PARTS in evidence:
        return {url: part["to"] for url, part in evidence[target_parts.PARTS].items()}
    return dict(evidence.get(STAGES, {})) if evidence.get(NOTED_IN) == epoch else {}
