"""config.yaml as typed objects: the models, nothing else."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Select(_Model):
    """What an item must be to be delivered; anything else refuses the arrival."""

    patterns: list[str] = Field(default_factory=list)
    mime: list[str] = Field(default_factory=list)
    max_item_size: int | None = None
    max_size: int | None = None
    max_items: int | None = None


class Deliver(_Model):
    """One destination of a route."""

    to: str
    must_exist: str | None = None
    group: str | None = None
    file_mode: int | None = None
    folder_mode: int | None = None
    manifest: Literal["hidden", "beside", "none"] = "hidden"


class Route(_Model):
    """One configured way from an inbox to its destinations."""

    key: str = Field(exclude=True)
    folders: str
    inbox: str | None = None
    processing: str | None = None
    done: str | None = None
    failed: str | None = None
    takes: Literal["directories", "files", "any"] = "any"
    complete: Literal["renamed", "named", "settled", "marker"] = "renamed"
    marker: str | None = None
    settle: timedelta = timedelta(seconds=5)
    temporary: list[str] = Field(default_factory=list)
    test_names: str | None = None
    name: re.Pattern[str] | None = None
    select: Select = Field(default_factory=Select)
    checks: list[Any] = Field(default_factory=list)
    deliver: list[Deliver] = Field(min_length=1)
    after: str | None = None
    leave_source: bool = False


class Config(_Model):
    """A whole config.yaml; `base` is its folder."""

    base: Path = Field(exclude=True)
    data: Path
    routes: dict[str, Route]
