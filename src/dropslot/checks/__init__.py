"""Rules that an arrival must keep before anything of it is delivered; one file a kind."""

from __future__ import annotations

from typing import Any

from dropslot.checks.bag import Required
from dropslot.checks.base import Check, CheckFailed, StagedArrival, StagedItem, run
from dropslot.checks.item_names import Patterns
from dropslot.checks.mime import MimeTypes
from dropslot.checks.pdf_contains import PdfContains
from dropslot.checks.sizes import MaxItems, MaxItemSize, MaxSize
from dropslot.config import Route, load_dotted
from dropslot.config.mistakes import blame
from dropslot.core.errors import BadOption

__all__ = ["BadOption", "Check", "CheckFailed", "StagedArrival", "StagedItem", "for_route", "run"]

# What config.yaml may call a check that dropslot brings; every other one is named by its dotted path.
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

    Raises BadOption, naming the route and the check, for one that cannot be found or does not take its option.
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
    try:
        check = _kind(name)(option)
    except BadOption:
        raise
    except Exception as error:
        raise BadOption(
            f"Check {name!r} of route {route} cannot be created: {blame.in_words(error)}",
            next_step="Correct its entry in config.yaml",
        ) from error
    if not isinstance(check, Check):
        raise BadOption(f"{name!r} of route {route} is not a dropslot.checks.base.Check")
    return check


def _kind(name: str) -> Any:
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    if "." not in name:
        raise ValueError(f"expected a dotted path or one of {', '.join(sorted(SHORT_NAMES))}")
    return load_dotted(name)
