"""From the words of the command to presets: those of settings.yaml, or one made of paths and options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dropslot.cli.output.exit_status import UsageError
from dropslot.core.names import escape
from dropslot.core.settings.limits import Limit, limit
from dropslot.sender.connecting import PATHS, Access, BadAddress, place
from dropslot.sender.presets.load_presets import load
from dropslot.sender.presets.preset import STUDY, STUDY_EXPECTED, Folder, Preset, Settings

_PATHS_NEED = "To send files without a preset: dropslot send PATH --to sftp://HOST/INBOX --study STUDY"


@dataclass(frozen=True, slots=True)
class Options:
    """What was given; empty: not given."""

    access: Access = field(default_factory=lambda: Access(""))
    study: str = ""
    subfolders: tuple[str, ...] = ()
    location: str = ""
    limit: str = ""
    settings: Path | None = None

    @property
    def rate(self) -> Limit | None:
        """The limit; None: not given. Raises UsageError."""
        return _limit(self.limit)


def presets(words: Sequence[str], options: Options) -> list[Preset]:
    """What is to be sent; with no words, the only preset, or nothing if there are several. Raises UsageError,
    PresetMistakes and PresetsMissing."""
    if options.access.to and options.study:
        return [_of_paths(words, options)]
    settings = load(options.settings)
    if words:
        found = [_named(word, settings) for word in words]
    else:
        found = list(settings.presets.values()) if len(settings.presets) == 1 else []
    _require_subfolders(found, options.subfolders)
    return [_changed(each, options) for each in found]


def _require_subfolders(found: Sequence[Preset], names: Sequence[str]) -> None:
    known = {folder.subfolder: None for preset in found for folder in preset.folders}
    for name in names:
        if found and name not in known:
            raise UsageError(
                f"No preset that is sent has the subfolder {escape(name)!r}",
                where="Nothing was sent",
                next_step=f"Write one of {', '.join(map(escape, known))}",
            )


def _of_paths(words: Sequence[str], options: Options) -> Preset:
    if not words:
        raise UsageError("No file or folder is given", next_step=_PATHS_NEED)
    if len(options.subfolders) > 1:
        raise UsageError("Paths go into one subfolder", next_step="Give --subfolder once")
    location = options.location or load(options.settings).location
    folders = tuple(_folder(word, options.subfolders) for word in words)
    return _changed(
        Preset(options.study, options.study, Access(options.access.to), folders, (), location), options
    )


def _folder(word: str, subfolders: Sequence[str]) -> Folder:
    path = Path(os.path.abspath(os.path.expanduser(word)))
    if subfolders:
        return Folder(_subfolder(subfolders[0]), path)
    return Folder(path.name if path.is_dir() else "", path)


def _subfolder(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise UsageError(
            f"--subfolder {escape(name)!r} is not a name of one folder",
            next_step="Write eprime, for instance",
        )
    return name


def _named(word: str, settings: Settings) -> Preset:
    if word in settings.presets:
        return settings.presets[word]
    known = ", ".join(map(escape, settings.presets))
    there = f"The presets are {known}" if known else "There are no presets on this computer yet"
    raise UsageError(f"There is no preset {escape(word)!r}. {there}", next_step=_PATHS_NEED)


def _changed(preset: Preset, options: Options) -> Preset:
    """The preset with what the options say."""
    given = {key: value for key, value in asdict(options.access).items() if value}
    given |= {key: _absolute(given[key]) for key in PATHS if key in given}
    access = replace(preset.access, **given)
    _require(access, options.study or preset.study)
    return replace(
        preset,
        access=access,
        study=options.study or preset.study,
        location=options.location or preset.location,
        limit=options.rate or preset.limit,
    )


def _require(access: Access, study: str) -> None:
    try:
        place(access.to)
    except BadAddress as error:
        raise UsageError(error.what, where=error.where) from error
    if not STUDY.fullmatch(study):
        raise UsageError(
            f"--study {escape(study)!r}: {STUDY_EXPECTED}", next_step="Write heart_failure, for instance"
        )


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _limit(text: str) -> Limit | None:
    """`2MB/s`, or `08:00-18:00=2MB/s,18:00-20:00=5MB/s`."""
    try:
        spans = dict(part.split("=", 1) for part in text.split(",")) if "=" in text else text
        return limit(spans) if spans else None
    except ValueError as error:
        raise UsageError(
            f"--limit {escape(text)!r}: {error}",
            next_step="Write 2MB/s, for instance, or by time of day 08:00-18:00=2MB/s",
        ) from error
