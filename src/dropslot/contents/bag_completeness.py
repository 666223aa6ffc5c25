"""Compares one manifest of a bag with the existing items: missing, extra, changed, double."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dropslot.contents.manifest_lines import Entry, Malformed
from dropslot.core.names import escape
from dropslot.core.patterns import composed


@dataclass(frozen=True, slots=True)
class Listed:
    """A manifest's name and algorithm, and the digests of all staged items, by path and algorithm."""

    manifest: str
    algorithm: str
    digests: Mapping[str, Mapping[str, str]]


def compare(
    listed: Listed,
    found: Iterable[Entry | Malformed],
    wanted: Iterable[str],
    *,
    only: str = "",
    never: str = "\0",
    twice: bool = False,
) -> Iterator[str]:
    """Sentences about each item that differs from its entry, and each `wanted` path without an entry.

    Every entry's path begins with `only`, and none with `never`. `twice`: a path may be listed again with the same
    digest. A name in another Unicode form (NFC, NFD) is the same name if there is only one such file.
    """
    title = escape(listed.manifest)
    seen: dict[str, str] = {}
    there: set[str] = set()
    absent: list[str] = []
    forms = forms_of(listed.digests)
    for entry in found:
        if isinstance(entry, Malformed):
            yield f"{title}: {entry}"
            continue
        if entry.path in seen and not (twice and seen[entry.path] == entry.digest):
            yield f"{title}: it lists {escape(entry.path)} more than once"
        seen[entry.path] = entry.digest
        path = entry.path if entry.path in listed.digests else forms.get(composed(entry.path))
        if not entry.path.startswith(only) or entry.path.startswith(never):
            yield f"{title}: it lists {escape(entry.path)}, which is not for this kind of manifest"
        elif path is None:
            absent.append(entry.path)
        else:
            there.add(path)
            yield from _fault_of_digest(listed, path, entry.digest)
    unlisted = [path for path in wanted if path not in there]
    yield from _faults_of_presence(title, absent, unlisted)
    yield from _faults_of_twins(title, seen)


def forms_of(paths: Iterable[str]) -> dict[str, str | None]:
    """The existing path by its NFC form; None if there are several, because then the meaning is not clear."""
    forms: dict[str, str | None] = {}
    for path in paths:
        if not path.isascii():
            forms[composed(path)] = None if composed(path) in forms else path
    return forms


def _fault_of_digest(listed: Listed, path: str, digest: str) -> Iterator[str]:
    is_now = listed.digests[path][listed.algorithm].lower()
    if is_now != digest:
        manifest = escape(listed.manifest)
        yield f"{escape(path)}: its {listed.algorithm} is {is_now}; {manifest} has {digest}"


def _faults_of_presence(title: str, absent: list[str], unlisted: list[str]) -> Iterator[str]:
    by_fold = {_folded(path): path for path in unlisted}
    for path in absent:
        near = by_fold.get(_folded(path))
        yield f"{title}: it lists {escape(path)}, which is missing{_nearly(path, near)}"
    for path in unlisted:
        yield f"{escape(path)}: {title} does not list it"


def _nearly(path: str, near: str | None) -> str:
    if near is None:
        return ""
    same = composed(path) == composed(near)
    how = "in another Unicode form (NFC, NFD)" if same else "with other letter case"
    return f"; {escape(near)} is there, the same name {how}"


def _faults_of_twins(title: str, seen: Iterable[str]) -> Iterator[str]:
    # Two names that read the same: on many file systems one would replace the other. Names that differ in letter case
    # are left to the destination: it refuses them if it folds case.
    forms: dict[str, str] = {}
    for path in sorted(path for path in seen if not path.isascii()):
        twin = forms.setdefault(composed(path), path)
        if twin != path:
            yield f"{title}: it lists {escape(path)} twice, in two Unicode forms (NFC, NFD)"


def _folded(path: str) -> str:
    return composed(path.casefold())
