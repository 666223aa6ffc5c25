"""Canonical JSON: each value has exactly one text, so that a hash of the text identifies the value.

Keys sorted by code point, no blanks, UTF-8, characters as themselves unless JSON demands an escape. Only text as
keys; no NaN, no infinity. Reading it and writing it again gives the same bytes, here and in `check_export`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring as quoted
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> str:
    """The canonical JSON of `value`; always encodable as UTF-8.

    A lone surrogate (a byte of a name that is no UTF-8) becomes the six characters of its escape: `\\udc80`.
    Raises TypeError for what JSON does not have and for keys that are no text, ValueError for NaN and
    infinity.
    """
    return _encode(_plain(value))


def entry_text(seq: int, at: str, kind: str, arrival: str, data: str) -> str:
    """The canonical JSON of one entry of the chain, from its parts; `data` is canonical JSON already."""
    return (
        f'{{"arrival":{quoted(arrival)},"at":{quoted(at)},"data":{data},"kind":{quoted(kind)},"seq":{seq}}}'
    )


def text_of(text: str) -> str:
    """`text` with lone surrogates written as their escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return text_of(value)
    if value is None or isinstance(value, (int, float)):  # before Mapping, which takes long to look at
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {_key(key): _plain(inner) for key, inner in value.items()}
    return value


def _key(key: Any) -> str:
    # json turns 1, True and None into text after it has sorted the keys; a reader of the text would sort them in
    # another order.
    if not isinstance(key, str):
        raise TypeError(f"a key of an audit entry must be text, not {key!r}")
    return text_of(key)
