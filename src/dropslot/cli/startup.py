"""The first steps of a command: find the configuration, set up Django, prepare the database."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from dropslot.cli.options import TEST_NAMES
from dropslot.cli.output.exit_status import UsageError
from dropslot.cli.run_as_owner import hand_over, runs_alone

if TYPE_CHECKING:
    from django.conf import LazySettings

    from dropslot.config import Config

SETTINGS = "dropslot.settings"
WITH_ACCOUNTS = "dropslot.portal_settings"
_OWN = frozenset({SETTINGS, WITH_ACCOUNTS})


def configured(path: Path | None, own: str = SETTINGS) -> Config:
    """The configuration, with Django set up for it; the database is not touched. `own` is which of dropslot's settings
    are taken outside of a project.

    `path` (of `-c`) comes first. Without it, or if it is the project's own file: a Django project named by
    DJANGO_SETTINGS_MODULE, then $DROPSLOT_CONFIG, then ./config.yaml. Raises ConfigError; raises UsageError if Django
    already runs with another configuration, or if the data folder belongs to a project.
    """
    from django.conf import settings

    if not settings.configured:
        choose(path, own)
    elif path is not None and not _is_current(path):
        raise UsageError(
            f"-c {path} cannot be used: this project's settings already have DROPSLOT",
            next_step="Leave out -c, or use the command `dropslot`",
        )
    import django

    from dropslot.config import current

    config = current()
    hand_over(config.data)
    _load_structlog()
    django.setup()
    _require_own_data(config)
    if runs_alone():  # in another program, the collector is not ours to change
        gc.freeze()  # loaded code stays: no collection needs to examine it
        gc.enable()
    return config


def _load_structlog() -> None:
    """As if rich were not installed. With it structlog loads 100 modules, 4 MB and 35 ms in each process, for coloured
    tracebacks that no log here has."""
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = cast(ModuleType, None)  # Python's own way to say that there is no such module
        import_module("structlog")
        del sys.modules["rich"]


def started(path: Path | None, own: str = SETTINGS) -> Config:
    """The same, with a database that exists, is sound and has this version; also raises DatabaseUnready."""
    config = configured(path, own)
    from dropslot.arrivals.upkeep.database import prepare, require_no_transaction

    require_no_transaction()
    prepare()
    _require_key(config)
    _mark_data(config)
    return config


def reading(path: Path | None) -> Config:
    """As `started`, for a command that changes nothing. It also works for an account that may only read, and on a
    read-only disk."""
    config = configured(path)
    from dropslot.arrivals.upkeep.database import prepare_to_read

    prepare_to_read()
    return config


def _require_key(config: Config) -> None:
    """Raise DropslotError if Django's key could not be made: the settings leave it empty, for readers that do not
    need it."""
    from django.conf import settings

    from dropslot.config.secrets import django_secret_key

    if os.environ.get("DJANGO_SETTINGS_MODULE") in _OWN and not _has_key(settings):
        django_secret_key(config.keys)


def _has_key(settings: LazySettings) -> bool:
    from django.core.exceptions import ImproperlyConfigured

    try:
        return bool(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return False


def for_tests(config: Config, test: bool) -> Config:
    """With `test`: routes without `test_names` of their own get the usual ones."""
    if not test:
        return config
    routes = {
        key: route if route.test_names else route.model_copy(update={"test_names": TEST_NAMES})
        for key, route in config.routes.items()
    }
    return config.model_copy(update={"routes": routes})


def require_acknowledgments() -> None:
    """Raise UsageError in a project without the app of the acknowledgments."""
    _require_app("acknowledgments")


def require_keeping() -> None:
    """Raise UsageError in a project without the app of keeping."""
    _require_app("keeping")


def _require_app(name: str) -> None:
    from django.apps import apps

    if not apps.is_installed(f"dropslot.{name}"):
        raise UsageError(
            f"This project does not have dropslot's {name}",
            next_step=f"Add 'dropslot.{name}' to INSTALLED_APPS and run `python manage.py migrate`",
        )


_MARKER = "django-settings"


def _require_own_data(config: Config) -> None:
    """Raise UsageError if the data folder belongs to another Django project, whose database is elsewhere."""
    here = os.environ.get("DJANGO_SETTINGS_MODULE")
    try:
        owner = (config.data / _MARKER).read_text("utf-8").strip()
    except OSError:
        return
    if here in _OWN and owner and owner not in _OWN:
        raise UsageError(
            f"{config.data} belongs to a Django project, whose settings are {owner} and which has the database",
            where="Nothing was changed",
            next_step=f"Use the project's `python manage.py COMMAND`, without -c. If the project no longer exists,"
            f" remove {config.data / _MARKER}",
        )


def _mark_data(config: Config) -> None:
    """Mark the data folder as a project's, so that the command `dropslot` makes no second database."""
    here = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    marker = config.data / _MARKER
    if not here or here in _OWN or marker.exists():
        return
    from dropslot.config.secrets import make_data_folder

    make_data_folder(config.data)
    marker.write_text(f"{here}\n", "utf-8")


def choose(path: Path | None, own: str = SETTINGS) -> None:
    """Name the settings and config.yaml for Django, before Django reads its settings."""
    if path is not None and not _is_of_project(path):
        os.environ["DROPSLOT_CONFIG"] = os.path.abspath(path)
        os.environ["DJANGO_SETTINGS_MODULE"] = own
    if os.environ.get("DJANGO_SETTINGS_MODULE", SETTINGS) in _OWN:  # manage.py names the smaller ones
        os.environ["DJANGO_SETTINGS_MODULE"] = own


def _is_of_project(path: Path) -> bool:
    """Whether DJANGO_SETTINGS_MODULE names a project whose DROPSLOT is this file: then the project's database is
    used."""
    project = os.environ.get("DJANGO_SETTINGS_MODULE", SETTINGS)
    if project in _OWN:
        return False
    try:
        found = import_module(project)
    except Exception:  # noqa: BLE001 - whatever a project's settings raise: the file was named, and counts
        return False
    return _is_file(path, getattr(found, "DROPSLOT", None), getattr(found, "BASE_DIR", ""))


def _is_current(path: Path) -> bool:
    """Whether a file is the one that the settings take their configuration from."""
    if os.environ.get("DJANGO_SETTINGS_MODULE") in _OWN:
        return _is_file(path, os.environ.get("DROPSLOT_CONFIG") or "config.yaml", "")
    from django.conf import settings

    return _is_file(path, getattr(settings, "DROPSLOT", None), getattr(settings, "BASE_DIR", ""))


def _is_file(path: Path, chosen: object, base: str | Path) -> bool:
    return isinstance(chosen, (str, os.PathLike)) and os.path.realpath(path) == os.path.realpath(
        os.path.join(base, chosen)
    )
