"""Proves, before anything is taken, that the promises can be kept on these file systems."""

from __future__ import annotations

import errno

from dropslot.arrivals.delivery import checking, field_values
from dropslot.config import Config
from dropslot.config.folders import FolderSet, all_folders
from dropslot.core.errors import Unsupported
from dropslot.core.names import escape
from dropslot.destinations import by_kind
from dropslot.files.probe import try_rename
from dropslot.lookup import loading


def prove(config: Config, *, by_trial: bool = False) -> None:
    """Raise Unsupported or BadOption for what time cannot heal; what may heal is left to the delivery that meets it.

    Folder tables whose files have changed are loaded. Raises NoTable for one that never was, and cannot be.
    `by_trial`: servers show how they give names, whatever they say of themselves; that takes ten round trips, and a
    process that soon ends finds it out beside its deliveries."""
    checking.make_checks(config)
    field_values.make_fields(config)
    loading.refresh(config)
    for folders in all_folders(config):
        if not folders.route.leave_source:
            _prove_renames(folders)
    for kind, rules in by_kind(rule for route in config.routes.values() for rule in route.deliver):
        kind.prove(rules, by_trial=by_trial)


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
