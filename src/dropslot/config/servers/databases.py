"""The database of config.yaml, checked, and as Django wants to have it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dropslot.config.secrets import secret
from dropslot.core.concealing import has_password, is_secret

SQLITE_NAME = "dropslot.sqlite3"
PASSWORD_VARIABLE = "DROPSLOT_DATABASE_PASSWORD"
BUSY_TIMEOUT_SECONDS = 20
_SCHEMES = frozenset({"postgresql", "postgres"})

# WAL lets readers read while one writes; FULL makes a commit durable, which WAL alone does not.
_SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"


def database_url(value: Any) -> str:
    """`sqlite`, or the URL of a PostgreSQL database without its password. Raises ValueError."""
    if value == "sqlite":
        return "sqlite"
    if not isinstance(value, str) or "://" not in value:
        raise ValueError("expected sqlite, or postgresql://USER@HOST/NAME")
    parts = _split(value)
    if parts.scheme not in _SCHEMES:
        raise ValueError("expected sqlite, or postgresql://USER@HOST/NAME; no other database is known")
    if parts.password is not None or has_password(value) or any(map(is_secret, _parameters(parts))):
        raise ValueError(
            f"expected no password here: set {PASSWORD_VARIABLE} in the environment, or"
            f" {PASSWORD_VARIABLE}_FILE to the"
            " name of a file that holds it"
        )
    if not unquote(parts.path.lstrip("/")) or "/" in parts.path.lstrip("/"):
        raise ValueError("expected the name of the database at the end: postgresql://USER@HOST/NAME")
    return value


def django_database(database: str, data: Path) -> dict[str, Any]:
    """One entry of Django's DATABASES for `config.database`. Raises ConfigError for an unreadable password
    file."""
    if database == "sqlite":
        return _sqlite(data / SQLITE_NAME)
    return _postgresql(_split(database))


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # A transaction that reads first and writes later would fail at once instead of waiting for its
            # turn.
            "transaction_mode": "IMMEDIATE",
            "timeout": BUSY_TIMEOUT_SECONDS,
            "init_command": _SQLITE_PRAGMAS,
        },
    }


# Asked whether it is still there, a server that the network lost would never answer, and a worker would wait for ever.
# By these a silent one is given up after some 30 seconds; the URL may say otherwise.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def _postgresql(parts: SplitResult) -> dict[str, Any]:
    options: dict[str, Any] = _PATIENCE | dict(_parameters(parts))
    hosts, ports = _servers(parts)
    host = options.pop("host", None) or hosts
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": secret(PASSWORD_VARIABLE) or "",
        "HOST": host,
        "PORT": str(options.pop("port", None) or ports),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _servers(parts)
    except ValueError:  # its message may contain a part of a password
        raise ValueError("expected postgresql://USER@HOST:PORT/NAME, with a number as port") from None
    return parts


_SERVER = re.compile(r"(?P<host>\[[^]]*\]|[^:]*)(:(?P<port>[0-9]*))?")


def _servers(parts: SplitResult) -> tuple[str, str]:
    """Hosts and ports as libpq takes them, each with commas if there are several. Raises ValueError."""
    found = [_SERVER.fullmatch(each) for each in parts.netloc.rpartition("@")[2].split(",")]
    if not all(found):
        raise ValueError("not HOST:PORT")
    hosts = [unquote(each["host"].strip("[]")) for each in found if each]
    ports = [each["port"] or "" for each in found if each]
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _parameters(parts: SplitResult) -> Mapping[str, str]:
    return dict(parse_qsl(parts.query))
