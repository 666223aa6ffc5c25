"""The message broker of config.yaml, checked, and its address as Celery wants to have it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from dropslot.config.secrets import secret
from dropslot.core.concealing import has_password, is_secret

PASSWORD_VARIABLE = "DROPSLOT_BROKER_PASSWORD"
_SCHEMES = frozenset({"amqp", "amqps", "redis", "rediss"})
_EXPECTED = "expected redis://HOST:6379/0 or amqp://USER@HOST:5672/VHOST (rediss:// and amqps:// with TLS)"
NEEDS_PACKAGE = "expected a package that is not installed: pip install 'dropslot[celery]'"


def broker_url(value: Any) -> str:
    """The URL of a Redis or RabbitMQ server without its password. Raises ValueError."""
    if not isinstance(value, str) or "://" not in value:
        raise ValueError(_EXPECTED)
    parts = _split(value)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(_EXPECTED)
    if parts.password is not None or has_password(value) or any(map(is_secret, dict(parse_qsl(parts.query)))):
        raise ValueError(
            f"expected no password here: set {PASSWORD_VARIABLE} in the environment, or {PASSWORD_VARIABLE}_FILE to the"
            " name of a file that holds it"
        )
    return value


def with_password(url: str) -> str:
    """The URL with the password of the environment, if there is one. Raises ConfigError for an unreadable file."""
    password = secret(PASSWORD_VARIABLE)
    if password is None:
        return url
    parts = _split(url)
    user, _, place = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(str(password), safe='')}@{place}").geturl()


def is_redis(url: str) -> bool:
    """Whether the broker is Redis, which has other priorities and other options than RabbitMQ."""
    return url.startswith("redis")


def has_celery() -> bool:
    """Whether the packages of the extra `celery` are installed."""
    return find_spec("celery") is not None and find_spec("redis") is not None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its message may contain a part of a password
        raise ValueError(_EXPECTED) from None
    return parts
