"""The configuration of this process, from Django's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropslot.config.load_config import from_mapping, load
from dropslot.config.models import Config
from dropslot.core.context import kept
from dropslot.core.settings.config_errors import NO_VALUE, ConfigError, Problem

_EXAMPLE = 'DROPSLOT = "/srv/dropslot/config.yaml"'


class _Configs(dict[int, tuple[Any, Config]]):
    """The configuration of the setting, by its id; the setting's value is kept, so that its id stays its own."""


def current() -> Config:
    """The configuration that settings.DROPSLOT is (a Config), names (a path) or holds (a mapping).

    Relative paths of a mapping are beneath settings.BASE_DIR, else the working folder. It is read once for
    each value of the setting. Raises ConfigError.
    """
    from django.conf import settings

    value = getattr(settings, "DROPSLOT", None)
    configs = kept(_Configs)
    if id(value) not in configs:
        base = Path(getattr(settings, "BASE_DIR", None) or Path.cwd())
        configs[id(value)] = (value, _config_of(value, base))
    return configs[id(value)][1]


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
