"""Writes settings.yaml: presets that a person made or changed in the window, or took over from another program."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from dropslot.core.errors import DropslotError
from dropslot.core.settings import limits, yaml_text
from dropslot.sender.local_paths import shown_path
from dropslot.sender.presets import preset_parser
from dropslot.sender.presets.preset import Folder, Preset

_ACCESS = ("user", "key", "known_hosts", "token_file", "receipts", "route", "signer")


class SettingsUnwritable(DropslotError):
    """settings.yaml cannot be written."""

    code = "settings-unwritable"


def save_preset(path: Path, preset: Preset, instead_of: str = "") -> None:
    """Add this preset, or put it in the place of the one of its name; `instead_of`: the name that it had before.
    Raises PresetMistakes for what nobody could read again, and SettingsUnwritable; then the file is as it was."""

    def change(data: dict[str, Any]) -> None:
        presets = dict(data.get("presets") or {})
        former = instead_of or preset.name
        changed = {preset.name: as_mapping(preset, data.get("location") or "")}
        if former not in presets:
            presets |= changed
        data["presets"] = {
            name: value
            for each, kept in presets.items()
            for name, value in (changed if each == former else {each: kept}).items()
        }

    _rewrite(path, change)


def remove_preset(path: Path, name: str) -> None:
    """Forget this preset; what it sent stays in the ledger."""

    def change(data: dict[str, Any]) -> None:
        data["presets"] = {each: kept for each, kept in (data.get("presets") or {}).items() if each != name}

    _rewrite(path, change)


def save_shared(path: Path, where: str) -> None:
    """Take the presets from this file or address from now on. Raises PresetMistakes and SettingsUnwritable."""
    _rewrite(path, lambda data: data.update(presets_from=where))


def save_location(path: Path, location: str) -> None:
    """Where this PC stands."""
    _rewrite(path, lambda data: data.update(location=location))


def as_mapping(preset: Preset, location: str = "") -> dict[str, Any]:
    """A preset as settings.yaml has it; `location`: that of the whole file."""
    access = preset.access
    keys = {
        "study": "" if preset.study == preset.name else preset.study,
        "to": access.to,
        **{key: getattr(access, key) for key in _ACCESS},
        "folders": {folder.subfolder: _folder(folder) for folder in preset.folders},
        "exclude": list(preset.exclude),
        "location": "" if preset.location == location else preset.location,
        "limit": limits.written(preset.limit) if preset.limit != limits.Limit() else "",
        "names": "" if preset.names == "portable" else preset.names,
    }
    return {key: value for key, value in keys.items() if value}


def _folder(folder: Folder) -> dict[str, Any]:
    written: dict[str, Any] = {"path": str(folder.path)}
    if folder.include:
        written["include"] = list(folder.include)
    if folder.exclude:
        written["exclude"] = list(folder.exclude)
    if not folder.selected:
        written["selected"] = False
    return written


def _rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """The file before is kept as settings.yaml.before: YAML that a program writes has no comments."""
    try:
        before = path.read_bytes() if path.exists() else b""
        if before:
            preset_parser.parse(before, str(path))  # one with mistakes is not made worse
        data = yaml_text.read(before).data or {}
        change(data)
        text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        preset_parser.parse(text, str(path))
        if before:
            shutil.copyfile(path, path.with_name(f"{path.name}.before"))
        aside = path.with_name(f"{path.name}.new")
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise SettingsUnwritable(
            f"{shown_path(path)} cannot be written: {error.strerror}",
            where="It is as it was before",
            next_step="Make room on this disk, or let this account write there",
        ) from error
