"""What the server is known to have of an upload. It outlives a lost connection."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Known:
    """`confirmed`: numbers of the files that the server has, as proved. `marks`: by number, how many bytes of a file
    are durable there. `synced`: whether the server synced all of it. `damaged`: paths at the server whose sync failed:
    another sync would succeed, and prove nothing. Its methods are called in the loop's thread."""

    confirmed: set[int] = field(default_factory=set)
    marks: dict[int, int] = field(default_factory=dict)
    synced: bool = True
    damaged: set[str] = field(default_factory=set)

    @property
    def amount(self) -> int:
        """Grows with everything that becomes known."""
        return len(self.confirmed) + sum(self.marks.values())

    def moved(self, number: int, size_bytes: int) -> None:
        """The server acknowledged so many more bytes of this file."""

    def mark(self, number: int, durable_bytes: int) -> None:
        self.marks[number] = durable_bytes

    def confirm(self, number: int) -> None:
        self.confirmed.add(number)
