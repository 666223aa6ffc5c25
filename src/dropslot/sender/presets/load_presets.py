"""The presets of this PC: its own file, and the one that its lab shares by a path or an address."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dropslot.core.addressing.addresses import is_loopback, scheme_of
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.sender.connecting import PATHS
from dropslot.sender.home_folder import home, settings_file, writing
from dropslot.sender.presets.preset import Preset, Settings

if TYPE_CHECKING:
    import requests

_SECONDS = 10
_LARGEST_BYTES = 1_000_000


class PresetsMissing(DropslotError):
    """The shared presets cannot be read now."""

    code = "presets-missing"
    retryable = True


class PresetsUnsafe(DropslotError):
    """The shared presets could be changed on their way, or want more of this PC than it lets them have."""

    code = "presets-unsafe"


def load(path: Path | None = None) -> Settings:
    """What settings.yaml says (`path`: another file), with the shared presets; its own go before shared ones of the
    same name. No file: no presets. Raises PresetMistakes, PresetsMissing and PresetsUnsafe."""
    file = path or settings_file()
    try:
        text = file.read_bytes()
    except OSError as error:
        if path is None and isinstance(error, FileNotFoundError):
            return Settings()
        raise _missing(str(file), str(error.strerror)) from error
    from dropslot.sender.presets import preset_parser  # YAML takes long to load

    own = preset_parser.parse(text, str(file))
    if not own.presets_from:
        return own
    shared = shared_from(own.presets_from, file.parent, own.shared_may_set)
    there = {name: _located(preset, own.location) for name, preset in shared.presets.items()}
    return Settings(
        {**there, **own.presets}, own.location or shared.location, f"{own.source}, {shared.source}"
    )


def _located(preset: Preset, location: str) -> Preset:
    """The location is this PC's, whatever the lab's file says."""
    return replace(preset, location=location or preset.location)


def shared_from(where: str, base: Path, may_set: Collection[str] = ()) -> Settings:
    """The presets in a file or at an address. What an address gave last is kept, for when it gives no answer. A shared
    file cannot name another one, nor files of this PC except by the keys in `may_set`."""
    shared = _read(where, base)
    for preset in shared.presets.values():
        for key in PATHS:
            if getattr(preset.access, key) and key not in may_set:
                raise _forbidden(shared.source, preset.name, key)
    return shared


def _read(where: str, base: Path) -> Settings:
    from dropslot.sender.presets import preset_parser

    if scheme_of(where) in ("http", "https"):
        _require_safe(where)
        return preset_parser.parse(_fetched(where), where)
    path = base / preset_parser.expanded(where)
    try:
        return preset_parser.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise _missing(str(path), str(error.strerror)) from error


def _forbidden(where: str, preset: str, key: str) -> PresetsUnsafe:
    return PresetsUnsafe(
        f"The shared presets of {escape(where)} set `{key}` for {escape(preset)}: whoever writes them could use files"
        " of this computer, or make it trust another server",
        where="Nothing was sent",
        next_step=f"If that is wanted, write `shared_may_set: [{key}]` into {escape(str(settings_file()))}",
    )


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme.lower() == "https" or is_loopback(parts.hostname or "")


def _require_safe(url: str) -> None:
    if not _is_safe(url):
        raise PresetsUnsafe(
            f"The presets at {escape(url)} come without encryption: anybody on the way could change where files go",
            where="Nothing was sent",
            next_step="Use an address that begins with https://, or a file on a share",
        )


def _fetched(url: str) -> bytes:
    # One for each address: what another address gave must not say where files go.
    kept = home() / f"shared-presets-{sha256(url.encode()).hexdigest()[:16]}.yaml"
    try:
        text = _download(url)
    except (OSError, ValueError) as error:  # requests' errors are OSErrors
        if kept.exists():
            return kept.read_bytes()
        raise _missing(url, str(error)) from error
    aside = kept.with_suffix(".new")
    with writing(kept):
        aside.write_bytes(text)
        os.replace(aside, kept)
    return text


def _download(url: str) -> bytes:
    import requests

    from dropslot.sender.presets import preset_parser
    from dropslot.sender.system_trust import SystemTrust

    with requests.Session() as session:
        session.mount("https://", SystemTrust())
        with session.get(url, timeout=_SECONDS, stream=True) as answer:
            answer.raise_for_status()
            if not all(_is_safe(each.url) for each in (*answer.history, answer)):
                raise ValueError("it sends to an address without encryption")
            text = _body(answer)
    preset_parser.parse(text, url)  # what is wrong must not replace what was kept
    return text


def _body(answer: requests.Response) -> bytes:
    found = bytearray()
    for piece in answer.iter_content(_LARGEST_BYTES // 10):
        found += piece
        if len(found) > _LARGEST_BYTES:
            raise ValueError(f"it is larger than {_LARGEST_BYTES} bytes")
    return bytes(found)


def _missing(where: str, why: str) -> PresetsMissing:
    return PresetsMissing(
        f"The presets at {escape(where)} cannot be read: {escape(why)}",
        where="Nothing was sent",
        next_step="Check the path or address, or ask the person who gave it to you",
    )
