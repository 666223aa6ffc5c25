"""An inbox whose clock is the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dropslot.watching.completion import Completion
from watched import folder_set


class Desk:
    """An inbox, its completion, and a clock."""

    def __init__(self, base: Path, trust_names: bool = False, **route: Any) -> None:
        self.folders = folder_set(base, **({"settle": "5s"} | route))
        self.inbox = self.folders.inbox
        self.completion = Completion(self.folders.route, self.inbox, trust_names=trust_names)
        self.now = 1000.0

    def tell(self, name: str, how: Any = "moved") -> None:
        self.completion.noticed(name, how, self.now)

    def look(self, seconds: float = 0.0) -> set[str]:
        """Let so much time pass, with a look whenever one is due."""
        end = self.now + seconds
        found: set[str] = set()
        while (due := self.completion.next_look()) is not None and due <= end:
            self.now = max(self.now, due)
            found |= {judged.name for judged in self.completion.complete(self.now)}
        self.now = end
        return found

    def waiting(self) -> dict[str, str]:
        return {waiting.name: waiting.why for waiting in self.completion.waiting()}
