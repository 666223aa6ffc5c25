"""Django's settings of the portal's process and of the commands for accounts: those of the other commands, and what
pages, sign-in and API need besides. The other commands start without it, so they start sooner.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from dropslot.access.section import Portal, address, portal_of
from dropslot.access.signing_in.providers import openid_apps
from dropslot.config.models import Config as _Config
from dropslot.mail.section import mail_of
from dropslot.settings import *  # noqa: F403
from dropslot.settings import DATABASES, DROPSLOT, INSTALLED_APPS

_portal = (portal_of(DROPSLOT) if isinstance(DROPSLOT, _Config) else None) or Portal.model_validate({})
_address = urlsplit(address(_portal))
_is_https = _address.scheme == "https"

PORTAL_APPS = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.admin.apps.SimpleAdminConfig",  # with a site of its own: `portal.administration`
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_htmx",
    "django_include_bootstrap",
]
_OPENID = "allauth.socialaccount.providers.openid_connect"  # without tables; it loads 4 MB of HTTP clients
INSTALLED_APPS = [*INSTALLED_APPS, *(app for app in PORTAL_APPS if app != _OPENID or _portal.openid)]
ROOT_URLCONF = "dropslot.portal.standalone_urls"
WSGI_APPLICATION = "dropslot.portal.wsgi.application"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dropslot.api.metrics.calls.Counted",
    "csp.middleware.CSPMiddleware",
    "dropslot.portal.middleware.DatabaseAway",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dropslot.portal.middleware.ValidSessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "dropslot.portal.middleware.WithAccess",
    "dropslot.portal.middleware.SecondFactor",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dropslot.portal.context.everywhere",
            ]
        },
    }
]

# Opening a connection costs as much as a small page.
DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}

# Who is answered, and how the browser must treat the pages.
ALLOWED_HOSTS = sorted(
    {_address.hostname or "localhost", _portal.listen.host, "localhost", "127.0.0.1", "[::1]"}
    if _portal.url is None or _portal.listen.is_loopback
    else {_address.hostname or "localhost"}
)
CSRF_TRUSTED_ORIGINS = [f"{_address.scheme}://{_address.netloc}"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _portal.proxies else None
SECURE_SSL_REDIRECT = False  # what stands in front does that; the portal has one port
# Other hosts of the domain are not the portal's to decide about (W005, W021), nor is the port of plain HTTP (W008).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
# Not ours to say: what else a hospital has below the portal's name (W005, W021), and what stands in front (W008).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_ENGINE = (
    "django.contrib.sessions.backends.signed_cookies"  # a page view writes nothing to the database
)
SESSION_COOKIE_NAME = "dropslot_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _is_https
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_NAME = "dropslot_csrf"
CSRF_COOKIE_SECURE = _is_https
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "dropslot.portal.errors.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.cookie.CookieStorage"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],  # bootstrap's own small pictures
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [
            SELF,
            *(f"{urlsplit(one.server).scheme}://{urlsplit(one.server).netloc}" for one in _portal.openid),
        ],
    }
}

# Static files: collected, compressed and named by their content once for each version (`serving`).
STATIC_URL = "static/"
STATIC_ROOT = str((DROPSLOT.data if isinstance(DROPSLOT, _Config) else Path(".")) / "portal" / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_MANIFEST_STRICT = True
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# Sign-in.
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
if _portal.ldap:
    from dropslot.access.directory.ldap_connection import auth_settings

    AUTHENTICATION_BACKENDS.append("dropslot.access.directory.backend.DirectoryBackend")
    globals().update(auth_settings(_portal.ldap))
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dropslot:home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "dropslot.portal.sign_in.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "dropslot.portal.sign_in.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_FORMS = {"reset_password": "dropslot.portal.pages.accounts.lost_password.AskForLink"}
# Django's own has the account's one address in its hash; allauth's keeps more addresses, in a table of its own.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"
ACCOUNT_EMAIL_NOTIFICATIONS = isinstance(DROPSLOT, _Config) and mail_of(DROPSLOT) is not None
# For one address of the network, and for one address of mail.
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip,3/5m/key,10/d/key"}
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": openid_apps(_portal), "OAUTH_PKCE_ENABLED": True}}
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _is_https
MFA_TOTP_ISSUER = "dropslot"
MFA_TOTP_TOLERANCE = 1  # of the steps of 30 seconds before and after: clocks of phones differ (RFC 6238, 5.2)
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses come from an administrator
ACCOUNT_REAUTHENTICATION_METHODS = ("password", "mfa")
ACCOUNT_SESSION_REMEMBER = False  # a session ends with the browser: many of these computers are shared
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds, of `access.one_time_links`
# allauth's limits of attempts count in this cache. One process serves the portal, so its own memory will do.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# A body is read as it comes (uploads); forms are small.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # a selection of many arrivals
