"""Folders of this machine, as a kind of destination."""

from __future__ import annotations

import os

from dropslot.config import Deliver
from dropslot.destinations.base import Examined, Kind, Target
from dropslot.destinations.local.destination import Local
from dropslot.files import network_mounts
from dropslot.files.folder_probe import percent_full


class LocalKind(Kind):
    """Paths without a scheme. One destination for the process, so that the drops of a batch are synced together."""

    def __init__(self) -> None:
        self._local = Local()

    def for_rule(self, rule: Deliver) -> Local:  # noqa: ARG002
        return self._local

    def for_url(self, url: str) -> Local:  # noqa: ARG002
        return self._local

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:
        target = Target.fixed_part(rule)
        fixed = target.fixed
        if not os.path.isdir(fixed):
            what = f"{fixed} is missing; it is never created, since it may be an unmounted disk"
            return Examined("error", what, f"mkdir {fixed}")
        self._local.check(target)
        full = percent_full(fixed)
        if full >= warn_percent:
            what = f"the file system of {fixed} is {full} % full"
            return Examined("warning", what, "free space, or enlarge it")
        return Examined("ok", f"{fixed} can be written ({network_mounts.kind_of(fixed)}, {full} % full)")
