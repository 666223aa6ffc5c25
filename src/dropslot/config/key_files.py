"""Keys that the service makes for itself, at first use, in data/keys."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dropslot.config.private import make_private
from dropslot.config.remedies import in_words
from dropslot.core.errors import DropslotError

_DJANGO_KEY = "django-secret"


def django_secret_key(folder: Path) -> str:
    """Django's SECRET_KEY: 64 hexadecimal digits, made at first use in `folder`, mode 0600.

    Two processes that start at once get the same one, and after a crash the file is absent or complete.
    Raises DropslotError when it can neither be read nor made.
    """
    path = folder / _DJANGO_KEY
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise DropslotError(
            f"The key {path} can neither be read nor made: {in_words(error, path)}",
        ) from error


def secret_key_or_none(folder: Path) -> str:
    """The same; empty where it can neither be read nor made."""
    try:
        return django_secret_key(folder)
    except DropslotError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path) -> str:
    make_private(path.parent, path.parent.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{secrets.token_hex(32)}\n")
            stream.flush()
            os.fsync(stream.fileno())
        _link_first(draft, path)
    finally:
        draft.unlink()
    return _read(path)


def _link_first(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first; its key holds
