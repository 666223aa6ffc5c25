"""config.yaml: its models, loading and validation, and the folders that it names. No Django is needed.

The names below are loaded on first use, so a command that only prints its help does not wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropslot.config.active import current
    from dropslot.config.deliver_entries import Deliver
    from dropslot.config.load_config import from_mapping, load, parse
    from dropslot.config.models import (
        DELIVER_PROCESSOR,
        Config,
        Route,
    )
    from dropslot.config.plugins import load_dotted
    from dropslot.config.route_folders import FolderSet, folder_sets
    from dropslot.config.route_parts import Lookup, Select, Space, SpaceLimits
    from dropslot.config.secrets import secret
    from dropslot.core.settings.config_errors import ConfigError, Problem

_MODULES = {
    "config.active": ("current",),
    "config.route_folders": ("FolderSet", "folder_sets"),
    "config.load_config": ("from_mapping", "load", "parse"),
    "config.deliver_entries": ("Deliver",),
    "config.models": ("DELIVER_PROCESSOR", "Config", "Route"),
    "config.route_parts": ("Lookup", "Select", "Space", "SpaceLimits"),
    "config.plugins": ("load_dotted",),
    "core.settings.config_errors": ("ConfigError", "Problem"),
    "config.secrets": ("secret",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "DELIVER_PROCESSOR",
    "Config",
    "ConfigError",
    "Deliver",
    "FolderSet",
    "Lookup",
    "Problem",
    "Route",
    "Select",
    "Space",
    "SpaceLimits",
    "current",
    "folder_sets",
    "from_mapping",
    "load",
    "load_dotted",
    "parse",
    "secret",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dropslot.config' has no attribute {name!r}")
    return getattr(import_module(f"dropslot.{_HOMES[name]}"), name)
