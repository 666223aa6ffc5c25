"""Django's settings for tests in this process; the product's own are `dropslot.settings`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dropslot.core.apps import NAMES

SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = NAMES
# The fixtures `database`, `sqlite_database` and `postgres_database` put another one in its place.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(tempfile.gettempdir()) / f"dropslot-no-database-{os.getpid()}.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
    }
}
