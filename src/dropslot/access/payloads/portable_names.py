"""Names of payloads for other machines: what unpacks or saves them may be any system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import takewhile

from dropslot.core.names import LIMIT_BYTES, cut, inserted

_ODD = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff<>:"/\\|?*]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def safe_name(name: str) -> str:
    """One component of a path that Windows, macOS and Linux accept, and that leads nowhere else."""
    plain = _ODD.sub("_", name).rstrip(" .") or "_"
    return cut(f"_{plain}" if _DEVICES.fullmatch(plain) else plain, LIMIT_BYTES)


class Names:
    """The paths inside one zip: safe, and different even where upper and lower case are the same. Keeps numbers instead
    of names."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(map(_key, taken))
        self._files: set[int] = set()

    def is_new(self, place: int, stored_as: str) -> bool:
        """Whether this stored file was not asked about before."""
        key, before = hash((place, stored_as)), len(self._files)
        self._files.add(key)
        return len(self._files) > before

    def free(self, path: str) -> str:
        """The path, with every part safe; numbered if it is taken."""
        safe = "/".join(map(safe_name, path.split("/")))
        found, number = safe, 1
        while _key(found) in self._taken:
            number += 1
            above, slash, name = safe.rpartition("/")
            found = f"{above}{slash}{inserted(name, f' ({number})')}"
        self._taken.add(_key(found))
        return found


def _key(path: str) -> int:
    return hash(unicodedata.normalize("NFC", path).casefold())


def top_folders(places: Iterable[tuple[int, str]]) -> dict[int, str]:
    """For each place of a zip the folder inside it, with a slash at its end: the parts of the place's address that are
    not the same for all of them."""
    parts = {place: [part for part in url.split("/") if part] for place, url in places}
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*parts.values(), strict=False))
    common = sum(1 for _ in levels)
    return {place: "".join(f"{part}/" for part in several[common:]) for place, several in parts.items()}
