"""What a field is: something that takes named values from an arrival, or from each of its items."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from dropslot.contents.base import ListedItem
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


class ItemField(ABC):
    """As a Field, of each item by itself, so that the items of one arrival may go to different folders.

    It must say which names it `gives`: a path that uses one of them is filled for each item.
    """

    gives: ClassVar[frozenset[str]]

    def __init__(self, option: Any = None) -> None:
        self.option = option

    @abstractmethod
    def values(self, item: ListedItem, known: Mapping[str, str]) -> Mapping[str, str] | None:
        """The values of this item, all of them among `gives`; None when it has none, which refuses the arrival.

        `known` holds the values of the arrival, and what earlier fields gave of this item. Raises as `Field.values`.
        """
