"""Everything that one process has found out or made and keeps for its life, in one object. A module declares a class
for what it keeps, and gets the process's object of it: `kept(Namings)`. A forked process keeps what its parent had.
`renew` forgets everything, as if the process had just started: so what must be ended, as a child
process or a connection, is not kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Context:
    """The objects of one process, one of each class."""

    def __init__(self) -> None:
        self._kept: dict[type[Any], Any] = {}

    def kept(self, kind: type[T]) -> T:
        """The one object of this class: the one that was `put`, otherwise one that is made without arguments on first
        use."""
        found: T | None = self._kept.get(kind)
        return self._kept.setdefault(kind, kind()) if found is None else found

    def put(self, thing: object) -> None:
        """Keep this as the one object of its class."""
        self._kept[type(thing)] = thing


_context = Context()


def kept(kind: type[T]) -> T:
    """This process's one object of a class."""
    return _context.kept(kind)


def put(thing: object) -> None:
    """Make this the process's one object of its class."""
    _context.put(thing)


def renew() -> None:
    """Forget all that this process keeps."""
    global _context
    _context = Context()


class _Results(dict[tuple[Any, ...], Any]):
    """What functions with `once` have returned, by function and arguments."""


def once(make: Callable[P, T]) -> Callable[P, T]:
    """As `functools.cache`, for what depends on the machine or the installation."""

    @wraps(make)
    def made(*args: P.args, **more: P.kwargs) -> T:
        results, key = kept(_Results), (make, args, *more.items())
        found: T = results[key] if key in results else results.setdefault(key, make(*args, **more))
        return found

    return made
