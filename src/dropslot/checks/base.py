"""The base class of checks, what a check sees, and how checks run: a check that breaks never counts as passed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from dropslot.config.mistakes import blame
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape


class CheckFailed(DropslotError):
    """A check broke instead of judging; the arrival is neither refused nor delivered, and is retried."""

    code = "check-failed"
    retryable = True


class StagedItem(NamedTuple):
    """One item as staged. `digests` maps algorithm to hex, sha256 always; `open` gives bytes that have this SHA-256: if
    they turn out to have another one, what the checks found is void and the arrival is staged again. A check that
    knows the MIME type of the content tells it to `is_of_type`, for the record. `types` are those that were found
    already, with other arrivals' at once."""

    path: str
    size_bytes: int
    digests: Mapping[str, str]
    open: Callable[[], BinaryIO]
    is_of_type: Callable[[str], None] = lambda _: None
    types: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class StagedArrival:
    """What a check judges: the bytes that were staged. Of a bag, `items` are its payload only."""

    name: str
    fields: Mapping[str, str]
    items: Sequence[StagedItem]
    is_bag: bool = False


class Check:
    """One rule, made once from its option and used for many arrivals.

    Override `check_item`, or `check` for the whole. Both yield a sentence for each fault, naming the item
    through `core.names.escape`; none means that all is well. An exception is a broken check: the arrival is
    tried again.
    """

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @property
    def title(self) -> str:
        """How errors name this check."""
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def check(self, arrival: StagedArrival) -> Iterable[str]:
        """Reasons why the arrival is refused."""
        for item in arrival.items:
            # An explicit call of sentences(): `yield from "some text"` would give its letters.
            yield from sentences(self.check_item(item))

    def check_item(self, item: StagedItem) -> Iterable[str]:  # noqa: ARG002
        """Reasons why this one item refuses the arrival."""
        return ()


def not_judged(name: str, what: str) -> CheckFailed:
    """The error for an item of this name that a parser of its own could not look at."""
    return CheckFailed(
        f"{escape(name)} could not be looked at: {what}",
        where="Nothing of the arrival was delivered; it waits in processing and is retried",
        next_step="If this repeats, check whether the machine is out of memory (`dmesg`) or a disk does not answer;"
        " `dropslot doctor` tells whether parsers work here",
    )


def run(checks: Iterable[Check], arrival: StagedArrival) -> list[str]:
    """All reasons of all checks, in order; empty when the arrival passes every one.

    Raises CheckFailed, naming the check, when one broke. Errors of dropslot's own (a disk that fails while
    staged bytes are read) pass through as they are.
    """
    reasons: list[str] = []
    for check in checks:
        try:
            reasons.extend(sentences(check.check(arrival)))
        except DropslotError:
            raise
        except Exception as error:
            raise CheckFailed(
                f"Check {check.title} failed: {blame.in_words(error)}",
                where="Nothing of the arrival was delivered; it waits in processing and is retried",
                next_step="If this repeats, fix the check or take it out of the route",
            ) from error
    return reasons


def sentences(given: object) -> Iterable[str]:
    """What a check gave, text by text; TypeError unless they are sentences, so that a mistake is no pass."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"a check must yield its reasons one by one; it gave {type(given).__name__}")
    for sentence in given:
        if not isinstance(sentence, str) or not sentence.strip():
            raise TypeError(f"a reason must be a sentence, not {sentence!r}")
        yield sentence
