"""What can go wrong, typed. Each error says what happened, where the data is, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dropslot.core.concealing import conceal


class DropslotError(Exception):
    """Root of all errors of dropslot.

    `code` is stable and may be scripted against. `retryable`: it may go away by itself.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        # Addresses and errors of libraries may have a password in them, and an error ends up in logs and events.
        self.what, self.where, self.next_step = map(conceal, (what, where, next_step))
        super().__init__(self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross from a forked child to its parent; Exception's own way knows no keyword arguments.
        return _made_again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        sentences = (self.what, self.where, self.next_step)
        return " ".join(s if s.endswith((".", "!", "?")) else f"{s}." for s in sentences if s)


def _made_again(kind: type[DropslotError], args: tuple[Any, ...], state: dict[str, Any]) -> DropslotError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


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
    """The service cannot take or read the source in its present state (modes, owner, lock)."""

    code = "source-unready"
    retryable = True


class DestinationUnready(DropslotError):
    """The destination cannot be written now: missing, unmounted, read-only, no permission, no answer."""

    code = "destination-unready"
    retryable = True


class DiskFull(DestinationUnready):
    """ENOSPC or EDQUOT at the destination."""

    code = "disk-full"


class NoRoom(DiskFull):
    """The arrival does not fit at one of its destinations; found before anything of it was staged. It goes on by itself
    when there is room."""

    code = "no-room"


class StorageFault(DestinationUnready):
    """EIO and its like while reading or writing; the staging is thrown away and made again."""

    code = "storage-fault"


class Unforeseen(DropslotError):
    """A fault in dropslot itself or in an operator's code that it called; the attempt is void."""

    code = "unforeseen"
    retryable = True


class NameInFlight(DropslotError):
    """Another unfinished arrival has reserved the same name; this one waits for it. `again_in`: the seconds after
    which a retry makes sense, if known."""

    code = "name-in-flight"
    retryable = True
    again_in: float | None = None


class ShareLost(DropslotError):
    """A worker that stages some items of the arrival does not answer, and may still write; the attempt is void."""

    code = "share-lost"
    retryable = True


class NotReleased(DropslotError):
    """The arrival is judged whole, and its route holds it until somebody sends it onward."""

    code = "not-released"
    retryable = True


class TakenOver(DropslotError):
    """Another worker holds this arrival now; this worker must do nothing more with it."""

    code = "taken-over"


class BadOption(DropslotError):
    """A check, field or destination cannot be made as config.yaml says; found at start, before any arrival."""

    code = "bad-option"


class Unsupported(DropslotError):
    """The file system lacks what a promise needs; refused at start."""

    code = "unsupported"
