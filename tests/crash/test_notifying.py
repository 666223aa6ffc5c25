"""The process that tells people is killed before every single step: no message is sent twice, and none is lost without
a word about it."""

from __future__ import annotations

import email
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import connections

from databases import connected_to, sqlite_settings
from dropslot.config import Config
from lanes import EVERY_STEP
from news import OPS, configured, fail, tell
from ports import free_port
from stepping import Tree
from waiting import wait_until

STRIDE = 1 if EVERY_STEP else 5
REASONS = ("the name of {name} does not match", "{name} is empty", "{name} has a virus")
PERSONS = ("ops@lab.example", "sam@lab.example")


class Post(NamedTuple):
    """aiosmtpd as a program, which keeps each mail as a file."""

    key: dict[str, Any]
    folder: Path

    def letters(self, to: str) -> list[EmailMessage]:
        files = sorted((self.folder / "new").iterdir())
        found = (email.message_from_bytes(file.read_bytes(), policy=policy.default) for file in files)
        return [one for one in found if isinstance(one, EmailMessage) and str(one["to"]) == to]

    def empty(self) -> None:
        for file in (self.folder / "new").iterdir():
            file.unlink()


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    folder, port = tmp_path_factory.mktemp("post") / "mails", free_port()
    listen = ["-n", "-l", f"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Mailbox", str(folder)]
    server = subprocess.Popen([sys.executable, "-m", "aiosmtpd", *listen])
    try:
        wait_until(lambda: _answers(port), what="the mail server's answer")
        yield Post({"server": f"smtp://localhost:{port}", "from": "dropslot@lab.example"}, folder)
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def test_killed_before_any_step_nothing_is_told_twice_or_lost(
    post: Post, sqlite_template: Path, tmp_path: Path, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        config, names = _prepared(post, sqlite_template, tmp_path)
        total = _run(config, tmp_path, None)
        _require_once(post, names)
        assert [len(post.letters(person)) for person in PERSONS] == [1, 1]
        for step in range(1, total + 1, STRIDE):
            post.empty()
            _run(config, tmp_path, step)
            with connected_to(sqlite_settings(_copy(tmp_path))):
                tell(config, "the next one")
                try:
                    _require_once(post, names)
                except AssertionError as error:
                    error.add_note(f"killed before step {step} of {total}")
                    raise


def _prepared(post: Post, template: Path, folder: Path) -> tuple[Config, list[str]]:
    """A database in which three arrivals have failed, each for another reason, and nobody was told."""
    shutil.copyfile(template, folder / "begin.sqlite3")
    with connected_to(sqlite_settings(folder / "begin.sqlite3")):
        config = configured(folder, post.key, failed=[OPS, "sender"], sender_address="{owner}@lab.example")
        names = [name for reason in REASONS for name in fail(reason)]
        with connections["default"].cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return config, names


def _copy(folder: Path) -> Path:
    return folder / "copy.sqlite3"


def _run(config: Config, folder: Path, until: int | None) -> int:
    """Tell people in a process that is killed before this step; returns how many steps there were."""
    for old in folder.glob("copy.sqlite3*"):
        old.unlink()
    shutil.copyfile(folder / "begin.sqlite3", _copy(folder))
    with connected_to(sqlite_settings(_copy(folder))):
        tree = Tree.start(lambda: tell(config, "the first one"))
        if tree.go(until):
            tree.kill()
        elif until is None:
            assert tree.status == 0
        return len(tree.steps)


def _require_once(post: Post, names: list[str]) -> None:
    for person in PERSONS:
        letters = post.letters(person)
        bodies = [str(body.get_content()) for letter in letters if (body := letter.get_body(("plain",)))]
        ids = [letter["message-id"] for letter in letters]
        assert len(set(ids)) == len(ids)
        is_named = any("not known whether it arrived" in body for body in bodies)
        for name in names:
            told = sum(name in body for body in bodies)
            assert told <= 1, bodies
            assert told == 1 or is_named, bodies
