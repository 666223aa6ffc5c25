"""The targets of a route's destinations that are there, found by their folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dropslot.arrivals.delivery.paths.target_parts import PARTS
from dropslot.config import Deliver
from dropslot.core.templates import Template, literal
from dropslot.destinations import for_rule
from dropslot.destinations.base import Destination, Rules, Target


def targets(rule: Deliver) -> Iterator[Target]:
    """Every existing folder that matches `to`; only folders in the place of a field are listed, none below a target.
    Raises DestinationUnready and its like."""
    template = Template(rule.to)
    top = Target(template.fixed, template.fixed, rules=Rules(manifest=rule.manifest))
    if not template.fields:
        yield top
        return
    rest = template.text[len(literal(template.fixed)) :].strip("/").split("/")
    for path in _below(for_rule(rule), top, "", rest):
        url = f"{template.fixed.rstrip('/')}/{path}"
        if template.match(url) is not None:
            yield Target(url, template.fixed, rules=top.rules)


def _below(destination: Destination, top: Target, path: str, parts: list[str]) -> Iterator[str]:
    if not parts:
        yield path
        return
    part = Template(parts[0])
    for name, found in sorted(destination.listing(top, path).items()):
        if found.is_folder and not name.startswith(".") and part.match(name) is not None:
            yield from _below(destination, top, f"{path}/{name}" if path else name, parts[1:])


def fields_of(templates: Mapping[str, Template]) -> dict[str, str]:
    """What the targets of one arrival tell of its fields, each by its template; of several, in what they agree: the
    others are of its items."""
    found = [set((to.match(url) or {}).items()) for url, to in templates.items()]
    return dict(set.intersection(*found)) if found else {}


def parts_of(templates: Mapping[str, Template]) -> dict[str, Any]:
    """What the evidence of an arrival has, if it went to several targets of one rule."""
    is_parted = len(templates) > len({to.text for to in templates.values()})
    return {PARTS: {url: {"to": to.text} for url, to in templates.items()}} if is_parted else {}
