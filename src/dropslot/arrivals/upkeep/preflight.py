"""Proves, before anything is taken, that the promises can be kept on these file systems."""

from __future__ import annotations

import errno
from functools import partial
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from dropslot.arrivals.delivery import make_anew, staged_checks
from dropslot.arrivals.delivery.paths import own_fields
from dropslot.config import Config, load_dotted
from dropslot.config.mistakes import blame
from dropslot.config.route_folders import FolderSet, all_folders
from dropslot.core.apps import APPS
from dropslot.core.errors import BadOption, Unforeseen, Unsupported
from dropslot.core.names import escape
from dropslot.destinations import by_kind
from dropslot.files.children import ChildDied, in_child
from dropslot.files.folder_probe import try_rename
from dropslot.lookup import load_tables


def prove(config: Config, *, by_trial: bool = False) -> None:
    """Raise Unsupported or BadOption for permanent faults; temporary ones are left to the delivery that hits them.

    Folder tables whose files have changed are loaded. Raises NoTable if one was never loaded and cannot be.
    `by_trial`: test how servers give names, whatever they announce. That takes ten round trips; a process that soon
    ends finds it out during its deliveries. It happens in a child: the service forks its workers afterwards, and must
    have no thread then."""
    _require_apps(config)
    _require_traces(config)
    staged_checks.make_checks(config)
    own_fields.make_fields(config)
    make_anew.make_makers(config)
    _import_named(config)
    load_tables.refresh(config)
    for folders in all_folders(config):
        if not folders.route.leave_source:
            _prove_renames(folders)
    if by_trial:
        _prove_destinations_in_child(config)
    else:
        _prove_destinations(config, by_trial=False)


def _require_apps(config: Config) -> None:
    """A Django project may lack an app whose keys a route has. What they ask for must not be left out silently."""
    for app in APPS:
        if not app.section or apps.is_installed(app.name):
            continue
        keys = import_module(app.section).SECTION.route_keys
        for route in config.routes.values() if keys else ():
            if given := sorted(route.model_fields_set & set(keys.model_fields)):
                raise BadOption(
                    f"Route {route.key} has {', '.join(given)}, and this project does not have the app for it",
                    where="Nothing was taken",
                    next_step=f"Add {app.name!r} to INSTALLED_APPS and run `python manage.py migrate`",
                )


def _require_traces(config: Config) -> None:
    if config.traces and not (find_spec("opentelemetry") and find_spec("opentelemetry.exporter")):
        raise BadOption(
            "`traces` needs packages that are not installed",
            where="Nothing was taken",
            next_step="Install them: pip install 'dropslot[traces]'",
        )


def _prove_destinations(config: Config, *, by_trial: bool) -> None:
    for kind, rules in by_kind(rule for route in config.routes.values() for rule in route.deliver):
        kind.prove(rules, by_trial=by_trial)


def _prove_destinations_in_child(config: Config) -> None:
    try:
        in_child(partial(_prove_destinations, config, by_trial=True))
    except ChildDied as error:
        raise Unforeseen(
            f"The process that examines the destinations gave no answer: {error}",
            where="Nothing was taken",
            next_step="Check whether the machine ran out of memory (`dmesg`), and start dropslot again",
        ) from error


def _import_named(config: Config) -> None:
    """Import functions that are called later, so that a misspelled name shows now."""
    for route in config.routes.values():
        for dotted in (*route.processors, *filter(None, [route.after_function])):
            try:
                load_dotted(dotted)
            except Exception as error:
                raise BadOption(
                    f"{dotted}, which route {route.key} names, cannot be imported: {blame.in_words(error)}",
                    where="Nothing was taken",
                    next_step="Correct its entry in config.yaml, or the module",
                ) from error


def _prove_renames(folders: FolderSet) -> None:
    for other in (folders.processing, folders.done, folders.failed):
        error = try_rename(folders.inbox, other)
        if error is not None and error.errno == errno.EXDEV:
            raise Unsupported(
                f"Nothing can be moved from {escape(str(folders.inbox))} to {escape(str(other))}: "
                "they are on different file systems, or on two mounts of the same one",
                where="Nothing was taken",
                next_step="Put all four folders of a route on one (in a systemd unit: one ReadWritePaths)",
            )
