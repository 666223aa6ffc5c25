"""A clock that passes only when somebody waits by it: speed is proved without waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from dropslot.sftp.pace import Clock


class Standing(Clock):
    """`waits` are all waits that were asked for, in seconds; `begun` is the time of day at which it began."""

    def __init__(self, begun: datetime | None = None) -> None:
        self.seconds, self.waits = 1000.0, list[float]()
        self._begun = begun or datetime(2026, 3, 2, 12, tzinfo=UTC)

    @property
    def passed(self) -> float:
        """Seconds since it was made."""
        return self.seconds - 1000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self, zone: tzinfo) -> datetime:
        return (self._begun + timedelta(seconds=self.passed)).astimezone(zone)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds
