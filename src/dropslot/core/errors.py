"""What can go wrong, typed. Each error says what happened, where the data is, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from dropslot.core.concealing import conceal


class DropslotError(Exception):
    """Root of all errors of dropslot.

    `code` is stable and may be scripted against. `retryable` says whether time alone may heal it.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        # Addresses and errors of libraries may have a password in them, and an error ends up in logs and events.
        self.what, self.where, self.next_step = map(conceal, (what, where, next_step))
        super().__init__(self.what)

    def __str__(self) -> str:
        sentences = (self.what, self.where, self.next_step)
        return " ".join(s if s.endswith((".", "!", "?")) else f"{s}." for s in sentences if s)


class Refused(DropslotError):
    """The arrival can never be delivered as it is; `reasons` has one sentence for each fault."""

    code = "refused"

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = list(map(conceal, reasons))
        super().__init__("; ".join(self.reasons))


class SourceChanged(DropslotError):
    """The source was seen to change while it was read; the attempt is void."""

    code = "source-changed"
    retryable = True


class SourceUnready(DropslotError):
    """The service may not take or read the source as it is now (modes, owner, lock)."""

    code = "source-unready"
    retryable = True


class DestinationUnready(DropslotError):
    """The destination cannot be written now: missing, unmounted, read-only, no permission, no answer."""

    code = "destination-unready"
    retryable = True


class DiskFull(DestinationUnready):
    """ENOSPC or EDQUOT at the destination."""

    code = "disk-full"


class StorageFault(DestinationUnready):
    """EIO and its like while reading or writing; the staging is thrown away and made again."""

    code = "storage-fault"


class Unforeseen(DropslotError):
    """A fault in dropslot itself or in an operator's code that it called; the attempt is void."""

    code = "unforeseen"
    retryable = True


class NameInFlight(DropslotError):
    """Another unfinished arrival has reserved the same name; this one waits for it. `again_in`: the seconds until
    another try is worth it, where that is known."""

    code = "name-in-flight"
    retryable = True
    again_in: float | None = None


class TakenOver(DropslotError):
    """Another worker holds this arrival now; whatever this one still wanted must not happen."""

    code = "taken-over"


class BadOption(DropslotError):
    """A check, field or destination cannot be made as config.yaml says; found at start, before any arrival."""

    code = "bad-option"


class Unsupported(DropslotError):
    """The file system lacks what a promise needs; refused at start."""

    code = "unsupported"
