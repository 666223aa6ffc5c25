"""This process's environment, for what it starts."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """A copy that can be made in threads, while pytest sets and removes a variable of its own."""
    return {name: value for name in os.environ if (value := os.environ.get(name)) is not None}
