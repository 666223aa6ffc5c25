"""What one process keeps."""

from __future__ import annotations

from dropslot.core import context
from dropslot.core.context import once


def test_a_result_is_made_once_for_the_same_arguments_and_anew_in_a_new_process() -> None:
    calls: list[tuple[str, int]] = []

    @once
    def first(name: str, *, number: int = 0) -> None:
        calls.append((name, number))

    @once
    def second(name: str) -> str:
        return name.upper()

    for _ in range(2):
        first("a")
        first("a", number=1)
        assert second("a") == "A"  # not what `first` returned for the same
    assert calls == [("a", 0), ("a", 1)]
    context.renew()
    first("a")
    assert calls[2:] == [("a", 0)]
