"""What a field is: something that takes named values from an arrival."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from dropslot.core.errors import DropslotError


class FieldFailed(DropslotError):
    """A field broke instead of giving values; the arrival is neither refused nor delivered, and is retried."""

    code = "field-failed"
    retryable = True


class Field(ABC):
    """Made once from its option and used for many arrivals.

    Values are whatever the sender chose: they are judged where they are used, when a path is filled. A field that
    says which names it `gives` lets mistakes in paths be told at start.
    """

    gives: ClassVar[frozenset[str] | None] = None

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @abstractmethod
    def values(self, arrival_name: str, known: Mapping[str, str] | None = None) -> Mapping[str, str] | None:
        """The values taken from this arrival; None when it does not fit, which refuses it.

        `known` holds what earlier fields gave. Raises `core.errors.Refused` to say why it does not fit, and a
        retryable DropslotError when there is no answer now; any other exception is a broken field, and tried again.
        """
