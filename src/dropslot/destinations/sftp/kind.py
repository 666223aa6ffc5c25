"""Folders of SFTP servers, as a kind of destination."""

from __future__ import annotations

from collections.abc import Sequence

from dropslot.config import Deliver
from dropslot.destinations.base import Examined, Kind, Target
from dropslot.destinations.sftp import from_config, preflight
from dropslot.destinations.sftp.destination import Sftp


class SftpKind(Kind):
    """Addresses such as `sftp://edc@edc.example.org/~/viral_load`."""

    def for_rule(self, rule: Deliver) -> Sftp:
        return from_config.for_rule(rule)

    def for_url(self, url: str) -> Sftp:
        return from_config.for_url(url)

    def prove(self, rules: Sequence[Deliver], *, by_trial: bool) -> None:
        preflight.prove(rules, by_trial=by_trial)

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:
        target = Target.fixed_part(rule)
        space = from_config.for_rule(rule).examine(target)
        written = f"{target.fixed} can be written, and no file there can be replaced"
        if space is None or not space.total_bytes:
            return Examined("ok", written)
        if space.percent_full >= warn_percent:
            what = f"{written}, but its file system is {space.percent_full} % full"
            return Examined("warning", what, "free space there, or enlarge it")
        return Examined("ok", f"{written}, {space.percent_full} % full")
