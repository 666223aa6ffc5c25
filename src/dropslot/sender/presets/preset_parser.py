"""settings.yaml as typed objects; every mistake is named at once."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from typing import Any

from dropslot.core.settings import yaml_text
from dropslot.core.settings.limits import Limit, limit
from dropslot.core.settings.yaml_text import Document
from dropslot.sender.connecting import PATHS, Access, BadAddress, place
from dropslot.sender.presets.mistakes import Checked, PresetMistakes
from dropslot.sender.presets.preset import STUDY, STUDY_EXPECTED, SUBFOLDER_EXPECTED, Folder, Preset, Settings

_TOP = ("location", "presets_from", "shared_may_set", "presets")
_ACCESS = ("to", "user", "key", "known_hosts", "token_file", "receipts", "route", "signer")
_PRESET = (*_ACCESS, "study", "folders", "exclude", "limit", "location", "names")
_FOLDER = ("path", "include", "exclude", "selected")
_TO = "to: sftp://drop.lab.example/inbox"
_EXAMPLES = {
    "user": "user: ann",
    "key": "key: ~/.ssh/id_ed25519",
    "known_hosts": "known_hosts: ~/.ssh/known_hosts",
    "token_file": "token_file: ~/dropslot-token",
    "receipts": "receipts: /receipts/ann",
    "route": "route: study",
    "signer": "signer: ssh-ed25519 AAAA…",
}


def parse(text: str | bytes, source: str) -> Settings:
    """The settings in a text of YAML. `source` names the text in errors. Raises PresetMistakes."""
    document = yaml_text.read(text)
    if document.data is None:
        document.data = {}
    top = Checked(document, (), document.data)
    top.only(_TOP)
    location = top.text("location", example="location: Brogden A")
    more = top.text("presets_from", example="presets_from: https://lab.example/presets.yaml")
    may_set = top.read("shared_may_set", _paths, example=f"shared_may_set: [{PATHS[0]}]", default=())
    presets = {
        name: _preset(document, name, value, location) for name, value in top.below("presets").values.items()
    }
    if document.problems:
        raise PresetMistakes(document.problems, source)
    return Settings(presets, location, source, more, may_set)


def _preset(document: Document, name: str, value: Any, location: str) -> Preset:
    keys = Checked(document, ("presets", name), value)
    keys.only(_PRESET)
    study = keys.text("study", example="study: heart", default=name)
    if not STUDY.fullmatch(study):
        keys.add(("study",) if "study" in keys.values else (), study, STUDY_EXPECTED, "study: heart_failure")
    return Preset(
        name,
        study,
        _access(keys),
        _folders(document, keys),
        keys.texts("exclude", example="exclude: ['practice*']"),
        keys.text("location", example="location: Brogden A", default=location),
        keys.read("limit", limit, example="limit: {'08:00-18:00': 2MB/s}", default=Limit()),
        keys.read("names", _names, example="names: any", default="portable"),
    )


def _access(keys: Checked) -> Access:
    to = keys.text("to", example=_TO, default=None)
    if to:
        try:
            place(to)
        except BadAddress as error:
            keys.add(("to",), to, error.what.partition(": ")[2] or error.what, _TO)
    others = {key: keys.text(key, example=example) for key, example in _EXAMPLES.items()}
    for key in PATHS:
        others[key] = expanded(others[key])
    return Access(to, **others)


def _folders(document: Document, keys: Checked) -> tuple[Folder, ...]:
    found = keys.below("folders")
    if not found.values:
        keys.add(
            ("folders",),
            keys.values.get("folders"),
            "expected at least one folder",
            r"eprime: {path: 'C:\EPrime'}",
        )
    return tuple(_folder(document, found, name, value) for name, value in found.values.items())


def _folder(document: Document, folders: Checked, name: str, value: Any) -> Folder:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        folders.add((name,), name, SUBFOLDER_EXPECTED, "eprime")
    keys = Checked(document, (*folders.location, name), {"path": value} if isinstance(value, str) else value)
    keys.only(_FOLDER)
    path = expanded(keys.text("path", example=r"path: 'C:\EPrime\heart'", default=None))
    if path and not (os.path.isabs(path) or PureWindowsPath(path).is_absolute()):
        keys.add(("path",), path, "expected a whole path", r"path: 'C:\EPrime\heart', or ~/eprime")
    include = keys.texts("include", example="include: ['*.edat3']")
    exclude = keys.texts("exclude", example="exclude: ['*.tmp']")
    return Folder(name, Path(path), include, exclude, keys.flag("selected", default=True))


def _paths(value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(each in PATHS for each in found):
        raise ValueError(f"expected some of {', '.join(PATHS)}")
    return tuple(found)


def _names(value: Any) -> str:
    if value not in ("portable", "any"):
        raise ValueError("expected portable or any")
    return str(value)


def expanded(path: str) -> str:
    """`~` and variables of the environment filled in."""
    return os.path.expandvars(os.path.expanduser(path))
