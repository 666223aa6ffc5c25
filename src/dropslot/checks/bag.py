"""Whether an arrival is a bag. A bag is always compared with its manifests: `contents.bag_manifests`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dropslot.checks.base import Check, StagedArrival
from dropslot.contents.bag_manifests import DECLARATION
from dropslot.core.names import escape


class Required(Check):
    """The arrival must be a bag. Bags are validated even without this check."""

    def __init__(self, option: Any = None) -> None:
        super().__init__(option)
        if option not in (None, True, "required"):
            raise ValueError("expected no option, or `required`")

    def check(self, arrival: StagedArrival) -> Iterable[str]:
        """A reason, if it is none."""
        if not arrival.is_bag:
            yield f"{escape(arrival.name)}: it is not a bag: it has no {DECLARATION}"
