"""What limits how much fits into each tree: asked now of this machine's disks, and, if wanted, of servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from dropslot import destinations
from dropslot.arrivals.space.space_trees import Tree
from dropslot.core.fullness import Capacity

Measured = Mapping[str, Sequence[Capacity]]  # by the address of a tree


def measure(trees: Iterable[Tree], *, servers: bool) -> dict[str, list[Capacity]]:
    """The capacities of these trees. One that is away, or says nothing, has none. Without `servers` only trees of this
    machine are asked for, which loads no library of a server and waits for nobody."""
    wanted = [tree for tree in trees if servers or not tree.rule.scheme]
    found: dict[str, list[Capacity]] = {}
    for _, alike in groupby(sorted(wanted, key=_order), key=_order):
        some = list(alike)
        for tree, capacities in zip(some, _ask(some), strict=True):
            found.setdefault(tree.url, capacities)
    return found


def _order(tree: Tree) -> tuple[str, int]:
    return tree.rule.to, id(tree.rule)


def _ask(trees: Sequence[Tree]) -> list[list[Capacity]]:
    try:
        return destinations.for_rule(trees[0].rule).capacities([tree.target for tree in trees])
    except Exception:  # noqa: BLE001 - its deliveries say what is wrong there; a kind of somebody's own may raise anything
        return [[] for _ in trees]
