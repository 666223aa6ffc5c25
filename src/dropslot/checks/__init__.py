"""Rules that an arrival must fulfil before anything of it is delivered; one file for each kind."""

from __future__ import annotations

from typing import Any

from dropslot.checks.bag import Required
from dropslot.checks.base import Check, CheckFailed, StagedArrival, StagedItem, run
from dropslot.checks.item_names import Patterns
from dropslot.checks.mime import MimeTypes
from dropslot.checks.pdf_contains import PdfContains
from dropslot.checks.sizes import MaxItems, MaxItemSize, MaxSize
from dropslot.config import Route, load_dotted
from dropslot.config.plugins import make_named
from dropslot.core.errors import BadOption

__all__ = ["BadOption", "Check", "CheckFailed", "StagedArrival", "StagedItem", "for_route", "run"]

# The short names of dropslot's own checks in config.yaml; all others are named by their dotted paths.
SHORT_NAMES: dict[str, type[Check]] = {
    "bag": Required,
    "max_item_size": MaxItemSize,
    "max_items": MaxItems,
    "max_size": MaxSize,
    "mime": MimeTypes,
    "patterns": Patterns,
    "pdf_contains": PdfContains,
}


def for_route(route: Route) -> list[Check]:
    """The checks of a route: those of `select`, the cheap ones first, then those of `checks` in their order.

    Raises BadOption, naming the route and the check, if a check cannot be found or does not accept its option.
    """
    select = route.select
    wanted: list[tuple[str, Any]] = [
        ("max_items", select.max_items),
        ("max_item_size", select.max_item_size),
        ("max_size", select.max_size),
        ("patterns", select.patterns or None),
        ("mime", select.mime or None),
    ]
    made = [_made(route.key, name, option) for name, option in wanted if option is not None]
    return made + [_made(route.key, *pair) for entry in route.checks for pair in entry.items()]


def _made(route: str, name: str, option: Any) -> Check:
    title = f"Check {name!r} of route {route}"
    return make_named(lambda: _kind(name)(option), (Check,), title, "Correct its entry in config.yaml")


def _kind(name: str) -> Any:
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    if "." not in name:
        raise ValueError(f"expected a dotted path or one of {', '.join(sorted(SHORT_NAMES))}")
    return load_dotted(name)
