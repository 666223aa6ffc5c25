"""What several requests want at the same time is done once for all of them: one commit, one sync of a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Wish(Generic[T]):
    def __init__(self, what: T) -> None:
        self.what = what
        self.is_done = False
        self.error: BaseException | None = None


class Together(Generic[T]):
    """`do` gets everything that was asked for since its last call began, in the thread of one of the callers."""

    def __init__(self, do: Callable[[Sequence[T]], None]) -> None:
        self._do = do
        self._wishes: list[_Wish[T]] = []
        self._guard, self._doing = threading.Lock(), threading.Lock()

    def ask(self, what: T) -> None:
        """Returns when it is done. Raises what `do` raised: for all that were in that call."""
        wish = _Wish(what)
        with self._guard:
            self._wishes.append(wish)
        with self._doing:
            if not wish.is_done:
                self._do_all()
        if wish.error is not None:
            raise wish.error

    def _do_all(self) -> None:
        with self._guard:
            wishes, self._wishes = self._wishes, []
        try:
            self._do([wish.what for wish in wishes])
        except Exception as error:  # noqa: BLE001 - raised again by each caller
            for wish in wishes:
                wish.error = error
        finally:
            for wish in wishes:
                wish.is_done = True
