"""The base classes of fields, which take named values from an arrival, or from each of its items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from dropslot.contents.base import ListedItem
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
        """The values taken from this arrival. None if it does not fit, which refuses it.

        `known` has the values of earlier fields. Raises `core.errors.Refused` to say why it does not fit, and a
        retryable DropslotError if there is no answer now. Any other exception means that the field fails; the arrival
        is retried.
        """


class ItemField(ABC):
    """Like a Field, but for each single item, so that the items of one arrival may go to different folders.

    It must say which names it `gives`: a path that uses one of them is filled for each item.
    """

    gives: ClassVar[frozenset[str]]

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @abstractmethod
    def values(self, item: ListedItem, known: Mapping[str, str]) -> Mapping[str, str] | None:
        """The values of this item, with names only from `gives`. None if it has none, which refuses the arrival.

        `known` has the values of the arrival and those of earlier fields for this item. Raises as `Field.values`.
        """
