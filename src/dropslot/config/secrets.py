"""Secrets come from the environment, or from a file that the environment names; never from config.yaml."""

from __future__ import annotations

import os
from pathlib import Path

from dropslot.config.problems import NO_VALUE, ConfigError, Problem
from dropslot.core.concealing import Secret


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
        # Who set the password itself instead must not find it in a log.
        at = f" at {path}" if os.path.isabs(path) and os.path.isdir(os.path.dirname(path)) else ""
        raise _error(
            f"{name}_FILE", f"expected the name of a file that can be read{at}, but: {why}"
        ) from None


def _error(key: str, expected: str) -> ConfigError:
    return ConfigError([Problem(key, NO_VALUE, expected)], "The environment")
