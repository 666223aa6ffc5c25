"""Faults that last are in the log once a minute, however many requests meet them."""

from __future__ import annotations

import time

_QUIET_SECONDS = 60.0


class Warned:
    """When this process logged each fault last."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def is_due(self, fault: str) -> bool:
        """Whether to log this fault now; then it counts as logged."""
        now = time.monotonic()
        if now - self._at.get(fault, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self._at[fault] = now
        return True
