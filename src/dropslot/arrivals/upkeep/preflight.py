"""What is proved before anything is taken: that the promises can be kept on these file systems."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from dropslot.arrivals.delivery import checking, own_fields
from dropslot.config import Config, Deliver
from dropslot.config.folders import FolderSet, all_folders
from dropslot.core.addresses import is_remote
from dropslot.core.errors import DestinationUnready, Unsupported
from dropslot.core.names import escape
from dropslot.core.templates import Template
from dropslot.destinations import for_rule
from dropslot.destinations.base import Rules, Target
from dropslot.files.probe import try_rename
from dropslot.lookup import loading


def prove(config: Config, *, by_trial: bool = False) -> None:
    """Raise Unsupported or BadOption for what time cannot heal; what may heal is left to the delivery that meets it.

    Folder tables whose files have changed are loaded. Raises NoTable for one that never was, and cannot be.
    `by_trial`: servers show how they give names, whatever they say of themselves; that takes ten round trips, and a
    process that soon ends finds it out beside its deliveries."""
    checking.make_checks(config)
    own_fields.make_fields(config)
    loading.refresh(config)
    for folders in all_folders(config):
        if not folders.route.leave_source:
            _prove_renames(folders)
    rules = [rule for route in config.routes.values() for rule in route.deliver]
    for rule in rules:
        if not is_remote(rule.to):
            _prove_destination(rule)
    _prove_servers([rule for rule in rules if is_remote(rule.to)], by_trial=by_trial)


def _prove_renames(folders: FolderSet) -> None:
    for other in (folders.processing, folders.done, folders.failed):
        error = try_rename(folders.inbox, other)
        if error is not None and error.errno == errno.EXDEV:
            raise Unsupported(
                f"Nothing can be moved from {escape(str(folders.inbox))} to {escape(str(other))}: "
                "they are on different file systems, or mounts of one",
                where="Nothing was taken",
                next_step="Put all four folders of a route on one (in a systemd unit: one ReadWritePaths)",
            )


def _prove_destination(rule: Deliver) -> None:
    fixed = Template(rule.to).fixed
    if os.path.isdir(fixed):  # False as well where that cannot be found out now (EIO, ESTALE): it may heal
        try:
            for_rule(rule).check(Target(url=fixed, fixed=fixed, rules=rules_of(rule)))
        except DestinationUnready:
            return  # it may heal


def rules_of(rule: Deliver) -> Rules:
    """Group and modes of a rule, before there is an arrival: a group with fields in it is not known yet."""
    group = None if rule.group is None or Template(rule.group).fields else rule.group
    return Rules(group, rule.file_mode, rule.folder_mode, rule.manifest)


def _prove_servers(rules: Sequence[Deliver], *, by_trial: bool) -> None:
    if rules:
        from dropslot.destinations.sftp import preflight as servers  # see `dropslot.destinations`

        servers.prove(rules, by_trial=by_trial)
