"""What settings.yaml says, as typed objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dropslot.core.settings.limits import Limit
from dropslot.sender.connecting import Access

STUDY = re.compile(r"\w+")
STUDY_EXPECTED = (
    "expected letters, digits and _ alone: a hyphen ends the study's name in the names of arrivals"
)
SUBFOLDER_EXPECTED = "expected the name of one folder, without / and \\"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this PC, or one file, and what of it is sent into which `subfolder` of the study's arrival.

    `include`: patterns of names; empty: all. `exclude` goes before it. `selected`: it is sent unless somebody says
    otherwise.
    """

    subfolder: str
    path: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Preset:
    """One study as this PC sends it. `names`: `portable`, or `any` for names that Windows cannot store, too."""

    name: str
    study: str
    access: Access
    folders: tuple[Folder, ...]
    exclude: tuple[str, ...] = ()
    location: str = ""
    limit: Limit = field(default_factory=Limit)
    names: str = "portable"


@dataclass(frozen=True, slots=True)
class Settings:
    """`source` is the file or address that the presets come from; empty when there is none yet. `presets_from`: where
    more of them come from, which may set `shared_may_set` of this PC's files."""

    presets: Mapping[str, Preset] = field(default_factory=dict)
    location: str = ""
    source: str = ""
    presets_from: str = ""
    shared_may_set: tuple[str, ...] = ()
