"""dropslot inside somebody else's Django project: its users, its database, its pages stay its own."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from product import write_tree

pytestmark = pytest.mark.xdist_group("host-project")  # what they share is made once

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

    @property
    def database(self) -> Path:
        return self.root / "lab.sqlite3"

    def tables(self) -> set[str]:
        with closing(sqlite3.connect(self.database)) as database:
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


@pytest.fixture(scope="module")
def migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lab = Lab(tmp_path_factory.mktemp("migrated"))
    lab.manage("migrate", "-v0")
    return lab.database


@pytest.fixture
def migrated(lab: Lab, migrated_once: Path) -> Lab:
    shutil.copyfile(migrated_once, lab.database)
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
    assert "cannot be used" in done.stderr


def test_mistakes_in_the_setting_are_listed(migrated: Lab) -> None:
    migrated.more = {"LAB_DROPSLOT": "bad.yaml"}
    (migrated.root / "bad.yaml").write_text(
        "routes: {s: {folders: ./s, takes: dirs, settle: soon, deliver: [{to: ./x}]}}"
    )
    done = migrated.manage("drain", status=2)
    assert "2 mistakes" in done.stderr


CALL = "import io, json\nfrom django.core.management import CommandError, call_command\nout = io.StringIO()\n"


def test_the_data_folder_is_the_services_own_whatever_the_umask(migrated: Lab) -> None:
    migrated.drop("heart-1")
    before = os.umask(0)
    try:
        done = migrated.manage("drain", "--now")
    finally:
        os.umask(before)
    assert "JSON log" not in done.stderr and "cannot be written" not in done.stderr
    var = migrated.root / "var"
    private = [
        var,
        *(path for path in var.rglob("*") if path.suffix != ".pub" and path.name != "allowed_signers"),
    ]
    assert {oct(path.stat().st_mode & 0o077) for path in private if path.is_dir()} == {"0o0"}
    assert (var / "logs/dropslot.jsonl").exists()
    assert migrated.manage("doctor", status=1).stdout.count("can be read by others") == 0


def test_options_are_given_by_their_names_in_python(migrated: Lab) -> None:
    migrated.drop("heart-1")
    out = migrated.python(
        CALL + "from datetime import datetime, timedelta, UTC\n"
        "call_command('drain', now=True, json=True, stdout=out)\n"
        "print(json.loads(out.getvalue())['done'])\n"
        "def rows(name, **options):\n"
        "    out = io.StringIO()\n"
        "    assert call_command(name, stdout=out, **options) is None\n"
        "    return [json.loads(line) for line in out.getvalue().splitlines()]\n"
        "print(len(rows('history', json=True)), len(rows('history', as_json=True, search='-x')))\n"
        "print(len(rows('arrivals', json=True, since=datetime(2020, 1, 1, tzinfo=UTC), state='done', route='study')))\n"
        "print(len(rows('arrivals', json=True, since=timedelta(days=1))))\n"
        "print(len(rows('uploads', json=True, audited=True)), len(rows('uploads', json=True, audited=False)))\n"
        "one = rows('arrivals', json=True)[0]['id']\n"
        "call_command('audit_upload', ids=[one], by='anna', note='looked', stdout=out)\n"
        "print(len(rows('uploads', json=True, audited=True)))\n"
        "print(len(rows('events', json=True, arrival=one, kind='claimed')))\n"
        "print(len(rows('latest', json=True, route='study')))\n"
        "call_command('purge', older_than=timedelta(days=30), dry_run=True, stdout=out)\n"
        "call_command('verify', fixity=True, stdout=out)\n"
        "try:\n"
        "    call_command('verify', head=['1:' + 64 * '0', '2:' + 64 * '0'], stdout=out)\n"
        "except CommandError as error:\n"
        "    print(error.returncode, out.getvalue().count('a head that was kept elsewhere'))\n"
    )
    assert out.split() == ["1", "1", "0", "1", "1", "0", "1", "1", "1", "1", "1", "2"]


def test_a_call_leaves_the_hosts_logging_as_it_was(migrated: Lab) -> None:
    out = migrated.python(
        CALL + "import logging, structlog\n"
        "handler = logging.FileHandler('/dev/stdout')\n"
        "logging.getLogger().addHandler(handler)\n"
        "before = structlog.get_config()['processors']\n"
        "errors = io.StringIO()\n"
        "call_command('drain', now=True, stdout=out, stderr=errors)\n"
        "print(handler in logging.getLogger().handlers, structlog.get_config()['processors'] == before)\n"
        "import gc; print(gc.get_freeze_count() == 0)\n"
    )
    assert out.split() == ["True", "True", "True"]


def test_a_transaction_of_the_hosts_lets_listings_run_and_deliveries_not(migrated: Lab) -> None:
    out = migrated.python(
        CALL + "from django.db import transaction\n"
        "with transaction.atomic():\n"
        "    call_command('history', stdout=out)\n"
        "    try:\n"
        "        call_command('drain', now=True, stdout=out)\n"
        "    except CommandError as error:\n"
        "        print(error)\n"
    )
    assert "non_atomic_requests" in out


@pytest.mark.parametrize("setting", ["USE_TZ", "ROUTERS"])
def test_settings_that_cannot_work_are_said(migrated: Lab, setting: str) -> None:
    migrated.more = {f"LAB_{setting}": "1"}
    for command in ("drain", "history"):
        told = migrated.manage(command, status=1).stderr
        assert "USE_TZ = True" in told if setting == "USE_TZ" else "DATABASE_ROUTERS" in told


def dropslot(lab: Lab, *args: str, status: int, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_", "PYTHON"))}
    path = f"{SOURCE}:{PROJECT}"
    done = subprocess.run(
        [sys.executable, "-m", "dropslot", *args],
        env=kept | {"LAB_ROOT": str(lab.root), "PYTHONPATH": path} | environment,
        cwd=lab.root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_projects_own_file_leads_to_no_second_database(migrated: Lab) -> None:
    file = migrated.root / "dropslot.yaml"
    file.write_text("data: ./var\nroutes: {study: {folders: ./study, deliver: [{to: ./studies}]}}")
    migrated.more = {"LAB_DROPSLOT": "dropslot.yaml"}
    migrated.drop("heart-1")
    migrated.manage("drain", "--now", "-c", str(file))
    assert "lab.settings" in dropslot(migrated, "history", "-c", str(file), status=2)
    assert not (migrated.root / "var/dropslot.sqlite3").exists()
    own = {"DJANGO_SETTINGS_MODULE": "lab.settings", "LAB_DROPSLOT": "dropslot.yaml"}
    assert "heart-1" in dropslot(migrated, "history", "-c", str(file), status=0, **own)
