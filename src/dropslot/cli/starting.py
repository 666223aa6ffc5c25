"""What a command does first: find the configuration, set Django up, see to the database."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dropslot.cli.account import hand_over
from dropslot.cli.faults import UsageError

if TYPE_CHECKING:
    from django.conf import LazySettings

    from dropslot.config import Config

SETTINGS = "dropslot.settings"


def configured(path: Path | None) -> Config:
    """The configuration, with Django set up for it; the database is not touched.

    `path` (of `-c`) goes before everything; without it a Django project named by DJANGO_SETTINGS_MODULE, then
    $DROPSLOT_CONFIG and ./config.yaml are taken. Raises ConfigError, or UsageError when Django already runs
    with another configuration.
    """
    from django.conf import settings

    if not settings.configured:
        choose(path)
    elif path is not None and not _is_current(path):
        raise UsageError(
            f"-c {path} cannot be taken: this project's settings have DROPSLOT already",
            next_step="Leave -c away, or use the command `dropslot`",
        )
    import django

    from dropslot.config import current

    config = current()
    hand_over(config.data)
    django.setup()
    gc.freeze()  # what is loaded stays: no collection need look through it
    gc.enable()
    return config


def started(path: Path | None) -> Config:
    """The same, with a database that is there, sound and of this version; raises DatabaseUnready besides."""
    config = configured(path)
    from dropslot.arrivals.database import prepare

    prepare()
    _require_key(config)
    return config


def reading(path: Path | None) -> Config:
    """As `started`, for a command that changes nothing: also for an account that may only read, and where the disk of
    the data folder is read-only."""
    config = configured(path)
    from dropslot.arrivals.database import prepare_to_read

    prepare_to_read()
    return config


def _require_key(config: Config) -> None:
    """Raise DropslotError where Django's key could not be made: for who only reads the settings leave it empty."""
    from django.conf import settings

    from dropslot.config.keys import django_secret_key

    if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS and not _has_key(settings):
        django_secret_key(config.keys)


def _has_key(settings: LazySettings) -> bool:
    from django.core.exceptions import ImproperlyConfigured

    try:
        return bool(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return False


def require_acknowledgments() -> None:
    """Raise UsageError in a project that leaves the app of the acknowledgments away."""
    from django.apps import apps

    if not apps.is_installed("dropslot.acknowledgments"):
        raise UsageError(
            "This project does not have dropslot's acknowledgments",
            next_step="Add 'dropslot.acknowledgments' to INSTALLED_APPS and run `python manage.py migrate`",
        )


def choose(path: Path | None) -> None:
    """Name the settings and config.yaml for Django; for before Django's settings are read."""
    if path is not None:
        os.environ["DROPSLOT_CONFIG"] = os.path.abspath(path)
        os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)


def _is_current(path: Path) -> bool:
    chosen = os.environ.get("DROPSLOT_CONFIG") or "config.yaml"
    standalone = os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS
    return standalone and os.path.realpath(path) == os.path.realpath(chosen)
