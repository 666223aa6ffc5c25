"""config.yaml: its models, how it is loaded and judged, and the folders that it names. No Django is
needed."""

from __future__ import annotations

from dropslot.config.current import current
from dropslot.config.folders import FolderSet, folder_sets
from dropslot.config.loading import from_mapping, load
from dropslot.config.models import DELIVER_PROCESSOR, EVENT_NAMES, Config, Deliver, Route, Select, Space
from dropslot.config.plugins import load_dotted
from dropslot.config.problems import ConfigError, Problem
from dropslot.config.secrets import secret

__all__ = [
    "DELIVER_PROCESSOR",
    "EVENT_NAMES",
    "Config",
    "ConfigError",
    "Deliver",
    "FolderSet",
    "Problem",
    "Route",
    "Select",
    "Space",
    "current",
    "folder_sets",
    "from_mapping",
    "load",
    "load_dotted",
    "secret",
]
