"""Root, and accounts that may only read, at the installation of another account."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from people import Person, Program
from product import STUDY, Product, write_tree

PLUGIN = (
    "import os\n"
    "from dropslot.checks.base import Check\n"
    "status = open('/proc/self/status').read()\n"
    "effective = next(line.split()[1] for line in status.splitlines() if line.startswith('CapEff'))\n"
    "with open({told!r}, 'a') as stream:\n"
    "    stream.write(f\"{{os.getuid()}} {{os.environ['HOME']}} {{effective}}\\n\")\n"
    "class Own(Check):\n"
    "    def check(self, item):\n"
    "        return []\n"
)


@pytest.fixture
def theirs(
    make_product: Callable[..., Product],
    open_folder: Path,
    program_for_everybody: Program,
    service_user: Person,
) -> Product:
    """An installation whose every file is the service's own."""
    product = make_product(root=open_folder / "product", how=program_for_everybody)
    product.root.chmod(0o755)
    _give(product.root, service_user)
    return product


def _give(root: Path, person: Person) -> None:
    person.owns(root, *root.rglob("*"))


def _drop(product: Product, name: str, person: Person) -> None:
    aside = write_tree(product.root / f"aside-{name}", {"scan.txt": name.encode()})
    _give(aside, person)
    aside.rename(product.folder("inbox") / name)


def _of_root(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.lstat().st_uid == 0]


@pytest.mark.parametrize(
    "first",
    [("drain", "--now"), ("history",), ("doctor",)],
)
def test_what_root_runs_leaves_no_file_of_roots(
    theirs: Product, service_user: Person, first: tuple[str, ...]
) -> None:
    _drop(theirs, "one", service_user)
    told = theirs.run(*first, status=None)
    assert f"continues as {service_user.name}" in told.stderr
    assert told.stderr.count("continues as") == 1 and "continues as" not in told.stdout
    theirs.run("drain", "--now", as_person=service_user)
    theirs.drain()
    if "drain" in first:
        for later in (("verify", "--fixity"), ("purge", "--older-than", "1d")):
            theirs.run(*later)
    assert len(theirs.run("history", "--json", as_person=service_user).objects) == 1
    assert _of_root(theirs.root) == []


def test_a_daemon_that_root_starts_is_the_accounts(theirs: Product, service_user: Person) -> None:
    theirs.run("start_watcher")
    try:
        pid = int((theirs.root / "var/watcher.pid").read_text())
        assert os.stat(f"/proc/{pid}").st_uid == service_user.uid
        theirs.run("watcher_status", as_person=service_user)
    finally:
        theirs.run("stop_watcher")
    assert _of_root(theirs.root) == []


def test_plugins_of_another_account_never_run_as_root_nor_with_its_rights(
    theirs: Product, service_user: Person
) -> None:
    told = theirs.root / "told"
    (theirs.root / "plugins").mkdir()
    (theirs.root / "plugins/own.py").write_text(PLUGIN.format(told=str(told)))
    theirs.configure({"study": STUDY | {"checks": [{"own.Own": {}}]}})
    _give(theirs.root, service_user)
    for command in (("drain", "--now"), ("doctor",), ("history",)):
        theirs.run(*command, status=None)
    lines = set(told.read_text().splitlines())
    assert {line.split()[0] for line in lines} == {str(service_user.uid)}
    assert {int(line.split()[2], 16) for line in lines} == {0}
    assert "/root" not in {line.split()[1] for line in lines}


def test_uploads_of_any_umask_are_taken_when_the_configuration_is_roots_word(
    theirs: Product, service_user: Person, other_user: Person
) -> None:
    own = theirs.root.parent / "etc"
    own.mkdir(mode=0o755)
    theirs.config = own / "config.yaml"
    theirs.configure(
        {"study": STUDY | {"folders": str(theirs.root / "study"), "deliver": [{"to": str(theirs.studies)}]}},
        data=str(theirs.root / "var"),
    )
    theirs.config.chmod(0o644)
    _drop(theirs, "closed", other_user)
    (theirs.folder("inbox") / "closed").chmod(0o700)
    (theirs.folder("inbox") / "closed/scan.txt").chmod(0o600)
    theirs.root.joinpath("var").mkdir(mode=0o700)
    service_user.owns(theirs.root / "var")
    assert theirs.drain().stdout.startswith("1 delivered")
    assert theirs.delivered() == {"scan.txt": b"closed"}
    assert _of_root(theirs.root) == []


def test_before_the_first_start_who_owns_the_configuration_counts(
    theirs: Product, service_user: Person
) -> None:
    assert not (theirs.root / "var").exists()
    theirs.run("arrivals")
    assert (theirs.root / "var").stat().st_uid == service_user.uid
    assert (theirs.root / "var").stat().st_mode & 0o777 == 0o700


def test_init_by_root_in_a_folder_of_an_accounts_makes_files_of_that_account(
    theirs: Product, service_user: Person
) -> None:
    subprocess.run(
        [*theirs.how.command, "init", str(theirs.root / "more")], env=theirs.environment, check=True
    )
    assert _of_root(theirs.root) == []


def test_an_account_without_a_name_is_gone_on_as(theirs: Product) -> None:
    unnamed = Person("54321", 54321, 54321)
    _give(theirs.root, unnamed)
    theirs.run("arrivals")
    assert _of_root(theirs.root) == []


def test_a_configuration_that_only_root_reads_is_said_with_the_line_to_type(
    theirs: Product, service_user: Person
) -> None:
    theirs.run("arrivals")
    os.chown(theirs.config, 0, 0)
    theirs.config.chmod(0o600)
    told = theirs.run("history", status=1).stderr
    assert str(theirs.config) in told and f"sudo -u {service_user.name} -H dropslot history" in told


def test_root_that_may_not_become_others_is_told_the_line_to_type(
    theirs: Product, service_user: Person
) -> None:
    command = ["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-all", *theirs.command("history")]
    done = subprocess.run(command, env=theirs.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"sudo -u {service_user.name} -H" in done.stderr and "Traceback" not in done.stderr
    assert _of_root(theirs.root) == []


def test_a_program_of_roots_own_that_calls_a_command_is_refused(
    theirs: Product, service_user: Person
) -> None:
    code = (
        "import django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('history')\n"
    )
    environment = theirs.environment | {
        "DJANGO_SETTINGS_MODULE": "dropslot.settings",
        "DROPSLOT_CONFIG": str(theirs.config),
    }
    done = subprocess.run(
        [theirs.how.command[0], "-c", code], env=environment, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode != 0
    assert f"sudo -u {service_user.name} -H" in done.stderr
    assert _of_root(theirs.root) == []


def test_manage_py_by_root_goes_on_as_the_account(theirs: Product, service_user: Person) -> None:
    source = Path(__file__).parents[2] / "src/dropslot/cli/recipes/manage.py"
    shutil.copy(source, theirs.root / "manage.py")
    _give(theirs.root, service_user)
    for args in (("migrate", "-v0"), ("history",)):
        command = [theirs.how.command[0], str(theirs.root / "manage.py"), *args]
        done = subprocess.run(command, env=theirs.environment, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
    assert _of_root(theirs.root) == []


def test_what_root_left_behind_is_named_with_its_remedy(theirs: Product, service_user: Person) -> None:
    theirs.run("arrivals")
    os.chown(theirs.root / "var/dropslot.sqlite3", 0, 0)
    (theirs.root / "var/dropslot.sqlite3").chmod(0o600)
    told = theirs.run("drain", status=1, as_person=service_user).stderr
    assert f"chown -R {service_user.name} {theirs.root / 'var/dropslot.sqlite3'}" in told


@pytest.mark.parametrize("writer", ["away", "at work", "killed"])
def test_listings_work_for_who_may_only_read(
    theirs: Product, service_user: Person, other_user: Person, writer: str
) -> None:
    _drop(theirs, "one", service_user)
    theirs.drain()
    data, file = theirs.root / "var", theirs.root / "var/dropslot.sqlite3"
    data.chmod(0o755)
    with closing(sqlite3.connect(file)) as held:
        if writer != "away":
            held.execute("PRAGMA wal_autocheckpoint=0")
            held.execute("UPDATE dropslot_arrival SET location = 'from the log'")
            held.commit()
        if writer == "killed":  # its log is there, and nobody has the index
            copies = [(path, path.read_bytes()) for path in data.glob("dropslot.sqlite3*")]
    if writer == "killed":
        for path, content in copies:
            if not path.name.endswith("-shm"):
                path.write_bytes(content)
    with closing(sqlite3.connect(file)) as held:
        if writer == "at work":
            held.execute("SELECT count(*) FROM dropslot_arrival").fetchall()
            held.execute("UPDATE dropslot_arrival SET location = 'from the log'")
            held.commit()
        for path in data.glob("dropslot.sqlite3*"):
            path.chmod(0o644)
        before = sorted(path.name for path in data.iterdir())
        (row,) = theirs.run("history", "--json", as_person=other_user).objects
        assert row["item"] == "scan.txt"
        assert row["location"] == ("" if writer == "away" else "from the log")
        for command in (("arrivals",), ("events",), ("uploads",), ("receipt", row["arrival"])):
            theirs.run(*command, as_person=other_user)
        assert sorted(path.name for path in data.iterdir()) == before
    told = theirs.run("retry", row["arrival"], status=1, as_person=other_user).stderr
    assert f"sudo -u {service_user.name} -H" in told
