"""Settings of the project. CLINIC_ROOT is the folder of this test's files. What dropslot's portal needs is marked."""

import os
from pathlib import Path

from csp.constants import SELF

BASE_DIR = Path(os.environ["CLINIC_ROOT"])
SECRET_KEY = "the project's own"
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "clinic.urls"
AUTH_USER_MODEL = "staff.Person"
LOGIN_URL = "/welcome/"
LOGIN_REDIRECT_URL = "/"
STATIC_URL = "assets/"
USE_TZ = True  # portal
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(BASE_DIR / "clinic.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},  # portal
    }
}
INSTALLED_APPS = [
    "clinic",  # before dropslot: its templates come first
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "staff",
    # portal
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "csp",
    "django_htmx",
    "django_include_bootstrap",
    "dropslot.audit",
    "dropslot.lookup",
    "dropslot.arrivals",
    "dropslot.dicom",
    "dropslot.acknowledgments",
    "dropslot.keeping",
    "dropslot.access",
    "dropslot.notify",
    "dropslot.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",  # portal
    "dropslot.portal.middleware.DatabaseAway",  # portal
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",  # portal
    "django_htmx.middleware.HtmxMiddleware",  # portal
    "dropslot.portal.middleware.WithAccess",  # portal
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dropslot.portal.context.everywhere",  # portal
            ]
        },
    }
]
# portal: how allauth's pages for a second factor know this project's users
ACCOUNT_USER_MODEL_USERNAME_FIELD = "badge"
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"default-src": [SELF], "img-src": [SELF, "data:"]}}  # portal
DROPSLOT = {
    "data": "./var",
    "routes": {
        "results": {
            "folders": "./results",
            "takes": "files",
            "name": r"(?P<folder>\w+)-.+",
            "deliver": [{"to": "./clinics/{folder}"}],
        }
    },
}
