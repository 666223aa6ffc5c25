"""Settings of the project. LAB_ROOT is the folder of this test's files."""

import os
from pathlib import Path

BASE_DIR = Path(os.environ["LAB_ROOT"])
SECRET_KEY = "the project's own"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "lab.urls"
AUTH_USER_MODEL = "people.Member"
USE_TZ = True
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

INSTALLED_APPS += ["dropslot.audit", "dropslot.lookup", "dropslot.arrivals"]
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
