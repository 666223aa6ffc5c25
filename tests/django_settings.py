"""Django as the tests of the apps need it: SQLite, or what DROPSLOT_TEST_DATABASE_URL names."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

SECRET_KEY = "of the tests only"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["dropslot.audit", "dropslot.arrivals"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(tempfile.gettempdir()) / f"dropslot-tests-{os.getuid()}.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
    }
}
