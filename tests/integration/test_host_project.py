"""dropslot inside somebody else's Django project: its users, its database, its pages stay its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from product import write_tree

PROJECT = Path(__file__).parent / "project"
SOURCE = Path(__file__).parents[2] / "src"


class Lab:
    """The project, its files in a folder of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.more: dict[str, str] = {}
        (root / "studies").mkdir()

    def manage(self, *args: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_", "PYTHON"))
        }
        environment = inherited | {"LAB_ROOT": str(self.root), "PYTHONPATH": str(SOURCE)} | self.more
        done = subprocess.run(
            [sys.executable, "-B", str(PROJECT / "manage.py"), *args],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def python(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "-c", code).stdout

    def tables(self) -> set[str]:
        with closing(sqlite3.connect(self.root / "lab.sqlite3")) as database:
            return {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }

    def drop(self, name: str) -> None:
        inbox = self.root / "study/inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        write_tree(self.root / "aside", {"scan.txt": name.encode()}).rename(inbox / name)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield Lab(tmp_path)


@pytest.fixture
def migrated(lab: Lab) -> Lab:
    lab.manage("migrate", "-v0")
    return lab


def test_migrate_makes_tables_that_carry_the_prefix(migrated: Lab) -> None:
    ours = {
        name for name in migrated.tables() if not name.startswith(("auth_", "django_", "people_", "sqlite_"))
    }
    assert {"dropslot_arrival", "dropslot_delivery", "dropslot_event", "dropslot_receipt"} <= ours
    assert all(name.startswith("dropslot_") for name in ours)
    assert "people_member" in migrated.tables()
    assert "auth_user" not in migrated.tables()


def test_nothing_is_left_to_migrate(migrated: Lab) -> None:
    migrated.manage("makemigrations", "--check", "--dry-run")
    migrated.manage("check", "--fail-level", "WARNING")


def test_the_project_migrates_its_database_itself(lab: Lab) -> None:
    done = lab.manage("drain", "--now", status=1)
    assert "python manage.py migrate" in done.stderr
    assert not any(name.startswith("dropslot_") for name in lab.tables())


def test_a_delivery_by_manage_py(migrated: Lab) -> None:
    migrated.drop("heart-1")
    migrated.manage("drain", "--now")
    assert (migrated.root / "studies/heart/scan.txt").read_text() == "heart-1"
    (delivery,) = map(json.loads, migrated.manage("history", "--json").stdout.splitlines())
    assert (delivery["name"], delivery["outcome"], delivery["fields"]) == (
        "heart-1",
        "delivered",
        {"study": "heart"},
    )


@pytest.mark.parametrize("call", ["call_command('drain', '--now')", "call_command('drain', now=True)"])
def test_a_delivery_by_call_command(migrated: Lab, call: str) -> None:
    migrated.drop("heart-1")
    migrated.python(f"from django.core.management import call_command; {call}")
    assert (migrated.root / "studies/heart/scan.txt").read_text() == "heart-1"


def test_call_command_writes_where_it_is_told_and_raises_what_django_has(migrated: Lab) -> None:
    migrated.drop("no study")
    out = migrated.python(
        "import io\n"
        "from django.core.management import CommandError, call_command\n"
        "found = io.StringIO()\n"
        "call_command('schema', stdout=found)\n"
        "print(len(found.getvalue()) > 1000)\n"
        "try:\n"
        "    call_command('drain', '--nonsense')\n"
        "except CommandError as error:\n"
        "    print(error.returncode)\n"
        "try:\n"
        "    call_command('drain', '--now', stdout=found)\n"
        "except CommandError as error:\n"
        "    print(error.returncode)\n"
    )
    assert out.split()[-3:] == ["True", "2", "1"]


def test_the_projects_users_and_pages_are_untouched(migrated: Lab) -> None:
    out = migrated.python(
        "from django.contrib.auth import get_user_model\n"
        "from django.test import Client\n"
        "print(get_user_model().objects.create(badge='7').badge)\n"
        "print(Client().get('/').content.decode())\n"
    )
    assert out.splitlines()[-2:] == ["7", "the lab's own page for /"]


def test_the_setting_may_name_a_file(migrated: Lab) -> None:
    (migrated.root / "dropslot.yaml").write_text(
        "data: ./elsewhere\nroutes: {study: {folders: ./study, deliver: [{to: ./studies}]}}"
    )
    migrated.more = {"LAB_DROPSLOT": "dropslot.yaml"}
    migrated.drop("anything")
    migrated.manage("drain", "--now")
    assert (migrated.root / "studies/scan.txt").read_text() == "anything"
    assert (migrated.root / "elsewhere").is_dir()


def test_another_configuration_is_refused(migrated: Lab) -> None:
    (migrated.root / "other.yaml").write_text("routes: {s: {folders: ./s, deliver: [{to: ./studies}]}}")
    done = migrated.manage("drain", "-c", str(migrated.root / "other.yaml"), status=2)
    assert "cannot be taken" in done.stderr


def test_mistakes_in_the_setting_are_listed(migrated: Lab) -> None:
    migrated.more = {"LAB_DROPSLOT": "bad.yaml"}
    (migrated.root / "bad.yaml").write_text(
        "routes: {s: {folders: ./s, takes: dirs, settle: soon, deliver: [{to: ./x}]}}"
    )
    done = migrated.manage("drain", status=2)
    assert "2 mistakes" in done.stderr
