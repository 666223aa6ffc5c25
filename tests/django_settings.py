"""Django's settings for tests in this process: the portal's, which have all apps, without a config.yaml."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dropslot.core.apps import NAMES
from dropslot.portal_settings import *  # noqa: F403
from dropslot.portal_settings import PORTAL_APPS

SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", *NAMES, *PORTAL_APPS]
DROPSLOT = ""
DROPSLOT_MIGRATES = False
WHITENOISE_AUTOREFRESH = True  # nothing is collected
ALLOWED_HOSTS = ["testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nobody's password
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True  # nothing was collected
# The fixtures `database`, `sqlite_database` and `postgres_database` put another one in its place.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(tempfile.gettempdir()) / f"dropslot-no-database-{os.getpid()}.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
    }
}
