"""dittohead's own files: presets.yaml, and config.yaml beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.local_paths import shown_path


class NotDittoheads(DropslotError):
    """The file is not a presets.yaml of dittohead, or cannot be read."""

    code = "not-dittoheads"


@dataclass(frozen=True, slots=True)
class OldPreset:
    """One preset of dittohead. It never looked again at files that were changed before `last_time`; None: it sent
    nothing yet."""

    name: str
    study: str
    subdirectory: str
    local_directory: str
    last_time: datetime | None


class _Loader(yaml.SafeLoader):
    """Reads what Python 2 wrote, where texts have tags of their own."""


def _text(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    return str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""


for _tag in ("python/unicode", "python/str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _text)


def presets(path: Path) -> list[OldPreset]:
    """What presets.yaml has. Raises NotDittoheads."""
    found = _read(path)
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise _not_dittoheads(path, "expected a list of presets, each with name, study and local_directory")
    return list(_presets(found))


def inbox(path: Path) -> str:
    """The address of the inbox, from the config.yaml beside presets.yaml; empty, if there is none."""
    config = path.with_name("config.yaml")
    found = _read(config) if config.exists() else {}
    host, folder = (_value(found, key) for key in ("host", "input_directory"))
    return f"sftp://{host}/{folder.strip('/')}" if host and folder else ""


def _presets(found: list[Mapping[str, Any]]) -> Iterator[OldPreset]:
    for each in found:
        last_time = each.get("last_time")
        yield OldPreset(
            _value(each, "name"),
            _value(each, "study"),
            _value(each, "subdirectory"),
            _value(each, "local_directory"),
            last_time if isinstance(last_time, datetime) else None,
        )


def _value(values: Any, key: str) -> str:
    value = values.get(key) if isinstance(values, Mapping) else None
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _read(path: Path) -> Any:
    try:
        return yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise _not_dittoheads(path, f"it cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise _not_dittoheads(path, f"it is not YAML: {escape(' '.join(str(error).split()))}") from error


def _not_dittoheads(path: Path, why: str) -> NotDittoheads:
    return NotDittoheads(
        f"{shown_path(path)}: {why}",
        where="Nothing was taken over",
        next_step="Give the presets.yaml from the folder in which dittohead was started",
    )
