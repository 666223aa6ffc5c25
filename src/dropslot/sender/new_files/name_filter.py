"""Which names of a folder are looked at: litter and excluded names are not, and of the rest what is included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropslot.core.file_names.litter import BY_DEFAULT, Litter
from dropslot.core.patterns import Glob
from dropslot.sender.presets.preset import Folder


class Rules:
    """A pattern without a slash is of a name, of a file or folder at any depth; one with a slash is of a path in the
    subfolder. Letter case and the form of accents make no difference."""

    def __init__(self, folder: Folder, exclude: Sequence[str] = ()) -> None:
        excluded = (*folder.exclude, *exclude)
        self._ignored = Litter((*BY_DEFAULT, *(each.rstrip("/") for each in excluded if _is_of_name(each))))
        self._paths = _globs(each.strip("/") for each in excluded if not _is_of_name(each))
        self._included = _globs(each for each in folder.include if _is_of_name(each))
        self._included_paths = _globs(each.strip("/") for each in folder.include if not _is_of_name(each))

    def excludes_some(self, names: Sequence[str]) -> bool:
        """Whether a closer look at these names of one folder is needed."""
        return bool(self._paths) or self._ignored.may_be_among("", names)

    def excludes(self, path: str) -> bool:
        """Whether a file or folder, with all that is in it, is not looked at. `path` is that in the subfolder."""
        name = path.rpartition("/")[2]
        return self._ignored.match(name) or any(glob.match(path) for glob in self._paths)

    @property
    def includes_all(self) -> bool:
        """Whether every file is included."""
        return not (self._included or self._included_paths)

    def includes(self, path: str) -> bool:
        """Whether a file is included."""
        name = path.rpartition("/")[2]
        return any(glob.match(name) for glob in self._included) or any(
            glob.match(path) for glob in self._included_paths
        )


def _is_of_name(pattern: str) -> bool:
    return "/" not in pattern.rstrip("/")


def _globs(patterns: Iterable[str]) -> tuple[Glob, ...]:
    return tuple(map(Glob, patterns))
