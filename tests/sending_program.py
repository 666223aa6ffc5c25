"""Sends a folder as `dropslot send` does, for tests that kill it. Arguments: STUDY FOLDER TO KEY KNOWN_HOSTS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dropslot.sender.connecting import Access
from dropslot.sender.credentials import HostKey, Question
from dropslot.sender.engine.sender import Sender
from dropslot.sender.presets.preset import Folder, Preset


class Nobody:
    """Answers nothing: a key signs in."""

    def user(self, server: str) -> str | None:
        return None

    def password(self, account: str, *, again: bool) -> str | None:
        return None

    def passphrase(self, key_file: str, *, again: bool) -> str | None:
        return None

    def answers(self, title: str, instructions: str, questions: Sequence[Question]) -> Sequence[str] | None:
        return None

    def trusts(self, key: HostKey) -> bool:
        return False

    def token(self, server: str, *, again: bool) -> str | None:
        return None

    def accepted(self) -> None:
        pass


def main(study: str, folder: str, to: str, key: str, known_hosts: str) -> None:
    access = Access(to, key=key, known_hosts=known_hosts)
    sender = Sender(Nobody())
    # What an earlier run began is continued first; only what is not in it is new.
    print(*sender.resume().bags, flush=True)
    plan = sender.look(Preset(study, study, access, (Folder("raw", Path(folder)),)))
    print(*sender.send(plan).bags, flush=True)
    sender.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
