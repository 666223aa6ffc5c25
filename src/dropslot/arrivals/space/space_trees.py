"""The folders whose space is looked at by themselves: of each destination the part before the first field, or what
`space.of` names, for each value of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dropslot.config import Config, Deliver, Route
from dropslot.config.route_folders import matching_folders
from dropslot.core.names import escape
from dropslot.core.templates import Template
from dropslot.destinations.base import Rules, Target

_WARN_PERCENT = 90.0
_template = lru_cache(maxsize=1024)(Template)


@dataclass(frozen=True, slots=True)
class Tree:
    """One folder, here or at a server, into which one entry of `deliver` delivers. `values` are those of the fields of
    `space.of`, in their order. `is_above`: the trees that count are below it."""

    url: str
    route: Route = field(compare=False)
    rule: Deliver = field(compare=False)
    values: Mapping[str, str] = field(compare=False)
    is_above: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """What people call it: `study heart`, or its folder."""
        return ", ".join(f"{key} {escape(value)}" for key, value in self.values.items()) or escape(self.url)

    @property
    def study(self) -> str:
        """The value of its first field."""
        return next(iter(self.values.values()), "")

    @property
    def quota(self) -> int | None:
        """How much it may hold by our own count, in bytes."""
        quota = None if self.is_above else self.rule.space.quota
        if isinstance(quota, dict):
            return quota.get("/".join(self.values.values()), quota.get("*"))
        return quota

    @property
    def is_counted(self) -> bool:
        """Whether what it holds is counted."""
        limits = self.rule.space
        return not self.is_above and (limits.of is not None or limits.quota is not None)

    @property
    def warn_at(self) -> float:
        return warn_at(self.route, self.rule)

    @property
    def target(self) -> Target:
        """As a destination takes it."""
        fixed = _template(self.rule.to).fixed
        group = _template(self.rule.group).fields if self.rule.group else frozenset[str]()
        return Target(
            self.url, fixed, None, Rules.of(self.rule, self.values if group <= self.values.keys() else None)
        )


def warn_at(route: Route, rule: Deliver | None = None) -> float:
    """From how many percent on somebody is told."""
    own = rule.space.warn if rule else None
    return own if own is not None else _WARN_PERCENT if route.space.warn is None else route.space.warn


def tree_of(route: Route, rule: Deliver, url: str) -> Tree:
    """The tree that a target of this rule lies in."""
    of = rule.space.of
    if of is None:
        return Tree(_template(rule.to).fixed, route, rule, {})
    template = _template(of)
    if not template.fields:
        return Tree(template.fixed, route, rule, {})
    parts = len(of.split("/"))  # a value of a field is one component, so the count is the same
    tree = "/".join(url.split("/")[:parts])
    return Tree(tree, route, rule, template.match(tree) or {})


def rule_of(route: Route, url: str) -> Deliver | None:
    """The entry of `deliver` that a target comes from."""
    return next((rule for rule in route.deliver if _template(rule.to).match(url) is not None), None)


def fixed_trees(config: Config) -> Iterator[Tree]:
    """For each destination the part before the first field."""
    for route in config.routes.values():
        for rule in route.deliver:
            yield Tree(_template(rule.to).fixed, route, rule, {}, is_above=rule.space.of is not None)


def own_trees(config: Config, known: Iterable[str]) -> Iterator[Tree]:
    """What `space.of` names: the folders of this machine that match, and those of the addresses in `known` that do."""
    addresses = list(known)
    for route in config.routes.values():
        for rule in route.deliver:
            if rule.space.of is not None:
                yield from _matching(route, rule, _template(rule.space.of), addresses)


def _matching(route: Route, rule: Deliver, of: Template, known: Iterable[str]) -> Iterator[Tree]:
    if not of.fields:
        yield Tree(of.fixed, route, rule, {})
        return
    found = {url: values for url in known if (values := of.match(url)) is not None}
    if not rule.scheme:
        found |= dict(matching_folders(of))
    for url, values in sorted(found.items()):
        yield Tree(url, route, rule, values)
