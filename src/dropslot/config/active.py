"""The configuration of this process: what Django's settings say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropslot.config.loading import from_mapping, load
from dropslot.config.models import Config
from dropslot.config.problems import NO_VALUE, ConfigError, Problem

_EXAMPLE = 'DROPSLOT = "/srv/dropslot/config.yaml"'
_last: tuple[Any, Config] | None = None


def current() -> Config:
    """The configuration that settings.DROPSLOT is (a Config), names (a path) or holds (a mapping).

    Relative paths of a mapping are beneath settings.BASE_DIR, else the working folder. It is read once for
    each value of the setting. Raises ConfigError.
    """
    global _last
    from django.conf import settings

    value = getattr(settings, "DROPSLOT", None)
    if _last is None or _last[0] is not value:
        base = Path(getattr(settings, "BASE_DIR", None) or Path.cwd())
        _last = (value, _config_of(value, base))
    return _last[1]


def _config_of(value: Any, base: Path) -> Config:
    if isinstance(value, Config):
        return value
    if isinstance(value, Mapping):
        return from_mapping(value, base)
    if isinstance(value, (str, os.PathLike)):
        return load(base / Path(value))
    expected = "expected the path of config.yaml, or a mapping with its keys"
    raise ConfigError(
        [Problem("DROPSLOT", value if value is not None else NO_VALUE, expected, example=_EXAMPLE)],
        "The settings",
    )
