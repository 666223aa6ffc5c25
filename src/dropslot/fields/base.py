"""The base class of fields, which take named values from an arrival."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from dropslot.core.errors import DropslotError


class FieldFailed(DropslotError):
    """A field raised an exception; the arrival is neither refused nor delivered, and is retried."""

    code = "field-failed"
    retryable = True


class Field(ABC):
    """Created once from its option and used for many arrivals. Senders choose the values, so they are checked when a
    path is filled. If a field says which names it `gives`, mistakes in paths are reported at start.
    """

    gives: ClassVar[frozenset[str] | None] = None

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @abstractmethod
    def values(self, arrival_name: str, known: Mapping[str, str] | None = None) -> Mapping[str, str] | None:
        """The values taken from this arrival; None when it does not fit, which refuses it.

        `known` has the values of earlier fields. Raises `core.errors.Refused` to say why it does not fit, and a
        retryable DropslotError if there is no answer now. Any other exception means that the field fails; the arrival
        is retried.
        """
