"""Settings of the project. LAB_ROOT is the folder of this test's files."""

import os
from pathlib import Path

BASE_DIR = Path(os.environ["LAB_ROOT"])
SECRET_KEY = "the project's own"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "lab.urls"
AUTH_USER_MODEL = "people.Member"
USE_TZ = "LAB_USE_TZ" not in os.environ
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(BASE_DIR / "lab.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "people"]

INSTALLED_APPS += ["dropslot.audit", "dropslot.lookup", "dropslot.arrivals", "dropslot.keeping"]
DROPSLOT = {
    "data": "./var",
    "routes": {
        "study": {
            "folders": "./study",
            "name": r"(?P<study>\w+)-.+",
            "deliver": [{"to": "./studies/{study}"}],
        }
    },
}
if path := os.environ.get("LAB_DROPSLOT"):
    DROPSLOT = path


class Elsewhere:
    """Sends every app but the project's own to another database."""

    def db_for_write(self, model: type, **hints: object) -> str | None:
        """Where a model is written."""
        return "elsewhere" if model.__module__.startswith("dropslot.") else None


if "LAB_ROUTERS" in os.environ:
    DATABASES["elsewhere"] = DATABASES["default"] | {"NAME": str(BASE_DIR / "elsewhere.sqlite3")}
    DATABASE_ROUTERS = ["lab.settings.Elsewhere"]
