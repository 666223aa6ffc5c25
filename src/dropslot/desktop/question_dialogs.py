"""Questions of the engine, asked in dialogs. Its thread waits for the answer, and the window goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QDialog, QWidget

from dropslot.core.names import escape
from dropslot.desktop.dialogs import HostKeyDialog, QuestionsDialog
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.stored_passwords import NotKept, forget_password, keep_password, stored_password

_KEEP = "&Remember it in this computer's keyring"


@dataclass
class _Asked:
    """How the dialog of a question is made, how its answer is read, and the answer once there is one."""

    make: Callable[[QWidget], QDialog]
    read: Callable[[Any], Any]
    answered: threading.Event = field(default_factory=threading.Event)
    answer: Any = None


class Asking(QObject):
    """The engine's `Credentials`. Its methods may be called from any thread but the window's."""

    not_kept = Signal(object)  # a NotKept: the upload goes on
    named = Signal(str)  # who signed in, if that was asked
    _asked = Signal(object)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._to_keep: dict[str, str] = {}
        self._open: list[_Asked] = []
        self._dialog: QDialog | None = None
        self._known: dict[
            str, str
        ] = {}  # of this upload: a connection that broke is made again without a question
        self._name: str | None = None
        self._over = False
        self._asked.connect(self._show, Qt.ConnectionType.QueuedConnection)

    def forget(self) -> None:
        """Another upload begins, perhaps by somebody else: passwords are asked for again."""
        self._known.clear()
        self._name = None

    def give_up(self) -> None:
        """Answer everything with no, now and from now on: the window is closing."""
        self._over = True
        for asked in list(self._open):
            asked.answered.set()

    # What the engine asks.

    def user(self, server: str) -> str | None:
        question = Question("Your name there:", echo=True)
        self._name = self._one(f"Sign in to {escape(server)}", "", question)
        return self._name

    def password(self, account: str, *, again: bool) -> str | None:
        text = "The server refused this password. Please try again." if again else ""
        return self._kept(account, f"Sign in as {escape(account)}", text, "Password:", again=again)

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        text = "This passphrase does not open it. Please try again." if again else ""
        return self._kept(key_file, f"Key {escape(key_file)}", text, "Passphrase:", again=again)

    def token(self, server: str, *, again: bool) -> str | None:
        text = (
            "The server refused this token: it is wrong, or has expired. Make a new one there."
            if again
            else "The server's pages make a token for you: sign in there, choose your name, then Tokens, for uploads."
        )
        return self._kept(server, f"Sign in to {escape(server)}", text, "Token:", again=again)

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        if not questions:
            return ()
        text = "\n".join(escape(each) for each in (title, *instructions.splitlines()) if each)
        answers: Sequence[str] | None = self._ask(
            lambda parent: QuestionsDialog(parent, "Sign in", text, questions), lambda dialog: dialog.answers
        )
        return answers

    def trusts(self, key: HostKey) -> bool:
        return bool(self._ask(lambda parent: HostKeyDialog(parent, key), lambda _: True))

    def accepted(self) -> None:
        if self._name:
            self.named.emit(self._name)
        while self._to_keep:  # only now: a mistyped password is not kept
            try:
                keep_password(*self._to_keep.popitem())
            except NotKept as error:
                self.not_kept.emit(error)

    # How it is asked.

    def _kept(self, name: str, title: str, text: str, label: str, *, again: bool) -> str | None:
        """A secret: from the keyring, unless it was refused; else from the person."""
        if again:
            forget_password(name)
        known = None if again else self._known.get(name) or stored_password(name)
        answer = known or self._one(title, text, Question(label, echo=False), keep_as=name)
        if answer:
            self._known[name] = answer
        return answer

    def _one(self, title: str, text: str, question: Question, keep_as: str = "") -> str | None:
        keep = _KEEP if keep_as and _has_keyring() else ""
        whole = f"{title}.\n{text}".strip()  # a window manager cuts long titles
        answer = self._ask(
            lambda parent: QuestionsDialog(parent, "Sign in", whole, [question], keep),
            lambda dialog: (dialog.answers[0], dialog.keep.isChecked()),
        )
        if answer is None:
            return None
        if answer[1]:
            self._to_keep[keep_as] = answer[0]
        return str(answer[0])

    def _ask(self, make: Callable[[QWidget], QDialog], read: Callable[[Any], Any]) -> Any:
        asked = _Asked(make, read)
        self._open.append(asked)
        if not self._over:
            self._asked.emit(asked)
            asked.answered.wait()
        self._open.remove(asked)
        return asked.answer

    def _show(self, asked: _Asked) -> None:
        if self._dialog is not None:  # the server did not wait for its answer
            self._dialog.reject()
        self._dialog = dialog = asked.make(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def finished(result: int) -> None:
            self._dialog = None
            if result == QDialog.DialogCode.Accepted:
                asked.answer = asked.read(dialog)
            asked.answered.set()

        dialog.finished.connect(finished)
        self._window.show()  # it may be in the tray
        dialog.open()


def _has_keyring() -> bool:
    """Whether this system has one that can be used."""
    import keyring
    from keyring.backends.fail import Keyring

    return not isinstance(keyring.get_keyring(), Keyring)
