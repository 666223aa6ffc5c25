"""Progress on a terminal: a bar for all and one for the file that is on its way."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dropslot.cli.sending.telling import Lines, duration
from dropslot.core.names import escape
from dropslot.core.showing.amounts import size
from dropslot.sender.engine.listener import Status

_LONGEST_NAME = 30


class Bars(Lines):
    """Lines above, and two bars that stay at the bottom until the bag is there."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(highlight=False, markup=False)
        self._progress: Progress | None = None
        self._all: TaskID | None = None
        self._one: TaskID | None = None

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True)

    def begun(self, bag: str, status: Status) -> None:
        super().begun(bag, status)
        self.close()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._all = self._progress.add_task("all files", total=None, words="")
        self._one = self._progress.add_task("", total=None, words="", visible=False)
        self._progress.start()

    def progressed(self, status: Status) -> None:
        if self._progress is None or self._all is None or self._one is None:
            return
        left = "" if status.seconds_left is None else f", {duration(status.seconds_left)} left"
        done = f"{status.files_done}/{status.files}  {size(status.bytes_done)}/{size(status.size_bytes)}"
        words = f"{done}  {size(status.rate)}/s{left}"
        self._progress.update(
            self._all, completed=status.bytes_done, total=max(status.size_bytes, 1), words=words
        )
        name = escape(status.current.rpartition("/")[2])
        shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self._progress.update(
            self._one,
            description=shown,
            completed=status.current_bytes,
            total=max(status.current_size_bytes, 1),
            words=size(status.current_size_bytes),
            visible=bool(status.current),
        )

    def close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
