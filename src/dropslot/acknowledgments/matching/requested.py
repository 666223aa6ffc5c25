"""What a request asked for: path and query as the server understood them, and the files that a product's own addresses
name."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_DAV = re.compile(r".*?/remote\.php/(?:webdav|dav/files/[^/]+)(?P<path>/.*)", re.DOTALL)
_MOST_PARAMETERS = 1000


class Asked(NamedTuple):
    """A path, decoded, without empty and dot segments; and the query's pairs, decoded, in order of their names.
    `among`: how many files this one response held; `packable`: what has this name may be a folder, which is
    sent packed.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    among: int = 1
    packable: bool = False


def asked(target: bytes) -> Asked | None:
    """What Apache and nginx make of a request's target; None for what they serve no file for."""
    absolute = _ABSOLUTE.match(target)
    path, _, query = target[absolute.end() if absolute else 0 :].partition(b"?")
    whole = _path(path)
    pairs = _query(query)
    return None if whole is None or pairs is None else Asked(whole, pairs)


def _path(raw: bytes) -> str | None:
    if not raw.startswith(b"/"):
        return None
    kept: list[bytes] = []
    for part in (unquote_to_bytes(part) for part in raw.split(b"/")):
        if b"/" in part or b"\0" in part:
            return None  # an encoded slash is part of a name, and no file has it in its own
        if part == b"..":
            if not kept:
                return None
            kept.pop()
        elif part not in (b"", b"."):
            kept.append(part)
    return "/" + b"/".join(kept).decode("utf-8", "surrogateescape")


def _query(raw: bytes) -> tuple[tuple[str, str], ...] | None:
    if not raw:
        return ()
    text = raw.decode("ascii", "surrogateescape")
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="surrogateescape", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        return None
    return tuple(sorted(pairs))


def files(preset: str, found: Asked) -> Iterator[Asked]:
    """The files that a request names, in the words of `match`: one, or as many as a download of several has."""
    if preset == "none":
        yield found
    elif preset == "apache":
        yield Asked(found.path)  # a folder of files takes no notice of a query
    elif preset == "webdav":
        dav = _DAV.fullmatch(found.path)
        yield Asked(dav["path"] if dav else found.path)
    else:
        yield from _cloud(found)


def _cloud(found: Asked) -> Iterator[Asked]:
    """ownCloud's and Nextcloud's addresses: of the page's own downloads, and of WebDAV."""
    if dav := _DAV.fullmatch(found.path):
        yield Asked(dav["path"])
        return
    values = dict(found.query)
    if found.path.endswith("/download.php") and values.get("files") and not _said_twice(found):
        names = _names(values["files"])
        for name in names:
            if name and "/" not in name:
                path = posixpath.join("/", values.get("dir", "").strip("/"), name)
                yield Asked(path, among=len(names), packable=True)


def _said_twice(found: Asked) -> bool:
    """Of two values for one name PHP takes the later one, and other spellings for the same name: which file was sent
    cannot be told."""
    names = [name.lstrip(" ").partition("\0")[0].partition("[")[0] for name, _ in found.query]
    return names.count("dir") > 1 or names.count("files") > 1


def _names(text: str) -> list[str]:
    """`files` is one name, or a JSON list of several."""
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except (ValueError, RecursionError):  # so deep that only somebody who means harm writes it
            return [text]
        if isinstance(listed, list) and all(isinstance(name, str) for name in listed):
            return list(dict.fromkeys(listed))
        return []
    return [text]
