"""Secrets come from the environment, or from a file that the environment names, never from config.yaml. Keys that the
service makes for itself, at first use, are in the data folder, which the service alone may read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from dropslot.config.mistakes.remedies import in_words
from dropslot.core.concealing import Secret
from dropslot.core.errors import DropslotError
from dropslot.core.settings.config_errors import NO_VALUE, ConfigError, Problem


def secret(name: str) -> Secret | None:
    """The value of the environment variable `name`, or the text of the file that `NAME_FILE` names; else
    None.

    Raises ConfigError when both are set or the file cannot be read. The value itself is never part of an
    error.
    """
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value is not None and path is not None:
        raise _error(name, f"expected either {name} or {name}_FILE in the environment, but both are set")
    if path is None:
        return None if value is None else Secret(value)
    try:
        return Secret(Path(path).read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        # Somebody may have set the password itself; it must not appear in a log.
        at = f" at {path}" if os.path.isabs(path) and os.path.isdir(os.path.dirname(path)) else ""
        raise _error(
            f"{name}_FILE", f"expected the name of a file that can be read{at}, but: {why}"
        ) from None


def _error(key: str, expected: str) -> ConfigError:
    return ConfigError([Problem(key, NO_VALUE, expected)], "The environment")


PRIVATE_MODE = 0o700


def make_data_folder(data: Path) -> None:
    """Make the data folder, mode 0700, unless it is there. Raises OSError.

    Of the folders above it only the nearest may be missing: more than that looks like an unmounted disk.
    """
    if data.is_dir():
        return
    if data.parent.parent.is_dir():
        data.parent.mkdir(mode=0o755, exist_ok=True)
    data.mkdir(mode=PRIVATE_MODE, exist_ok=True)


def make_private(folder: Path, data: Path) -> None:
    """Make `folder`, mode 0700, and the data folder first when it is to be beneath that. Raises OSError."""
    if folder.is_relative_to(data):
        make_data_folder(data)
    folder.mkdir(mode=PRIVATE_MODE, exist_ok=True)


_DJANGO_KEY = "django-secret"


def django_secret_key(folder: Path) -> str:
    """Django's SECRET_KEY, in `folder`. Raises as `own_key`."""
    return own_key(folder / _DJANGO_KEY)


def own_key(path: Path) -> str:
    """A key of the service's own: 64 hexadecimal digits, made at first use, mode 0600.

    Two processes that start at once get the same one, and after a crash the file is absent or complete.
    Raises DropslotError when it can neither be read nor made.
    """
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
