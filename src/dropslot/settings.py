"""Django's settings of the standalone product, made from config.yaml ($DROPSLOT_CONFIG, then ./config.yaml).

A project that has dropslot's apps among others has its own settings, and DROPSLOT in them; see docs. Without
a config.yaml these settings can be imported all the same (`schema` and type checkers want that), and name no
database.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dropslot.cli.run_as_owner import hand_over
from dropslot.config.load_config import load
from dropslot.config.models import Config
from dropslot.config.secrets import secret_key_or_none
from dropslot.config.servers.databases import django_database
from dropslot.core.apps import INSTALLED

_path = Path(os.path.abspath(os.environ.get("DROPSLOT_CONFIG") or "config.yaml"))

# The path is kept even if there is no file: the error then says what to do.
DROPSLOT: Config | str = load(_path) if _path.exists() else str(_path)
if isinstance(DROPSLOT, Config):
    hand_over(DROPSLOT.data, _path)  # before the key below is made, which would be root's

BASE_DIR = _path.parent
DROPSLOT_FILE = _path
DEBUG = False
ALLOWED_HOSTS: list[str] = []
# Empty where it can neither be read nor made, as for listings on a read-only disk: Django then refuses what needs it.
SECRET_KEY = (
    secret_key_or_none(DROPSLOT.keys) if isinstance(DROPSLOT, Config) else "no configuration, no sessions"
)

INSTALLED_APPS = list(INSTALLED)
DROPSLOT_MIGRATES = True  # this database is dropslot's alone: commands bring it up to date by themselves
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "dropslot.urls"

DATABASES: dict[str, dict[str, Any]] = {
    "default": django_database(DROPSLOT.database, DROPSLOT.data)
    if isinstance(DROPSLOT, Config)
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"  # the database stores UTC; people see config.time_zone
LANGUAGE_CODE = "en-us"
USE_I18N = False

# structlog writes the logs; Django's own handlers would mail and print besides.
LOGGING_CONFIG = None
