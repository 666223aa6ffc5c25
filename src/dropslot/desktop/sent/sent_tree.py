"""What was sent: the arrivals, the newest first, and in each its files with their states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from PySide6.QtCore import QObject, Qt

from dropslot.core.names import escape
from dropslot.desktop import labels
from dropslot.desktop.trees.file_tree import Folder, Line, Tree
from dropslot.desktop.trees.model import NOTE, Index, TreeModel
from dropslot.sender.file_states import STATES, SentFile


class History(Tree):
    """A mark is the position of the state in STATES."""

    def __init__(self, sent: Iterable[SentFile] = ()) -> None:
        self.titles: dict[str, str] = {}
        super().__init__(self._lines(sent))
        self._numbers: dict[str, int] = {}

    def change(self, file: SentFile) -> bool:
        """Note another state; False: it is not in here."""
        if not self._numbers:
            self._numbers = {key: number for number, key in enumerate(self.keys)}
        number = self._numbers.get(_key(file))
        if number is not None:
            self.marks[number], self.notes[number] = STATES.index(file.state), file.reason
        return number is not None

    def _lines(self, sent: Iterable[SentFile]) -> Iterator[Line]:
        newest: dict[str, SentFile] = {}
        files = list(sent)
        for file in files:
            if file.bag not in newest or newest[file.bag].at < file.at:
                newest[file.bag] = file
        order = sorted(newest.values(), key=lambda file: file.at, reverse=True)
        # Folders are sorted by their names: a number makes the newest the first.
        names = {file.bag: f"{number:09}" for number, file in enumerate(order)}
        self.titles = {names[file.bag]: f"{labels.moment(file.at)} · {escape(file.study)}" for file in order}
        for file in files:
            *folders, name = file.file.split("/")
            mark = STATES.index(file.state)
            yield Line((names[file.bag], *folders), name, file.size_bytes, mark, file.reason, _key(file))


def _key(file: SentFile) -> str:
    return f"{file.bag}/{file.file}"


class SentFiles(TreeModel):
    """The same for Qt. A state is always a word; ticks come before it."""

    headings = ("Sent", "Size", "State")

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tree: History = History()

    def name_of(self, folder: Folder) -> str:
        return self.tree.titles.get(folder.name) or super().name_of(folder)

    def note_on(self, folder: Folder) -> str:
        counts = [(state, self.tree.count(mark, folder)) for mark, state in enumerate(STATES)]
        found = [(state, number) for state, number in counts if number]
        if len(found) == 1:
            return f"{labels.state(found[0][0])} · {labels.files(found[0][1])}"
        return " · ".join(f"{labels.state(state)}: {number:,}" for state, number in found)

    def note(self, number: int) -> str:
        state, reason = labels.state(STATES[self.tree.marks[number]]), self.tree.notes[number]
        return f"{state}: {escape(reason)}" if reason else state

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        text = super().data(index, role)
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column() == NOTE:
            return text.replace("✓", "").replace("✗", "").strip()
        return text
