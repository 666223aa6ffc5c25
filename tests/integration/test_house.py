"""The fixtures that the other tests stand on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from databases import Database
from mounts import Mounts
from people import Person, Program, with_few_watches
from tracing import Trace


def test_database_is_of_each_kind_and_commits(database: Database) -> None:
    assert connection.vendor == database.vendor
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE proof (word text)")
        cursor.execute("INSERT INTO proof VALUES ('kept')")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT word FROM proof")
        assert cursor.fetchall() == [("kept",)]


def test_database_is_fresh_for_each_test(database: Database) -> None:
    assert "proof" not in connection.introspection.table_names()


def test_postgres_url_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connected:
        assert connected.execute("SELECT 1").fetchone() == (1,)


def test_small_tmpfs_runs_full(mounts: Mounts) -> None:
    small = mounts.tmpfs("64k")
    with pytest.raises(OSError, match="No space left"):
        (small / "big").write_bytes(bytes(1_000_000))


def test_ext4_image_becomes_read_only(mounts: Mounts) -> None:
    disk = mounts.ext4("16M")
    (disk / "before").touch()
    mounts.remount(disk, "ro")
    with pytest.raises(OSError, match="Read-only"):
        (disk / "after").touch()


def test_bound_folder_is_another_mount(mounts: Mounts, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    second = mounts.bind(tmp_path)
    with pytest.raises(OSError, match="cross-device"):
        (tmp_path / "a").rename(second / "b")


def test_other_user_has_no_privilege(other_user: Person, open_folder: Path) -> None:
    assert other_user.run("touch", open_folder / "x", check=False).returncode == 1
    other_user.owns(open_folder)
    other_user.run("touch", open_folder / "x", umask=0o077)
    assert (open_folder / "x").stat().st_uid == other_user.uid
    assert (open_folder / "x").stat().st_mode & 0o777 == 0o600


def test_everybody_can_start_the_program(program_for_everybody: Program, service_user: Person) -> None:
    python = program_for_everybody.command[0]
    service_user.run(python, "-c", "import dropslot", env=dict(program_for_everybody.environment), cwd="/")


def test_strace_injects_a_fault_and_tells_the_order(strace: Callable[..., Trace], tmp_path: Path) -> None:
    script = "import os\nos.mkdir('one')\ntry: os.mkdir('two')\nexcept OSError as e: print(e.errno)"
    trace = strace(
        [sys.executable, "-S", "-c", script],
        calls="mkdir",
        inject=["mkdir:error=ENOSPC:when=2"],
        cwd=tmp_path,
    )
    one, two = trace.named("mkdir")
    assert (one.succeeded, two.succeeded, two.injected) == (True, False, True)
    assert one.ended < two.begun
    assert trace.stdout == "28\n"


def test_strace_kills_at_a_call(strace: Callable[..., Trace], tmp_path: Path) -> None:
    trace = strace(
        [sys.executable, "-c", "import os; os.mkdir('one'); os.mkdir('two')"],
        calls="mkdir",
        inject=["mkdir:signal=KILL:when=1"],
        cwd=tmp_path,
    )
    assert trace.returncode != 0
    assert not (tmp_path / "two").exists()


def test_few_watches_are_few_for_one_process_only() -> None:
    script = "import inotify_simple as i; w = i.INotify(); w.add_watch('/', i.flags.CREATE); w.add_watch('/usr', 2)"
    done = subprocess.run(with_few_watches(1, [sys.executable, "-c", script]), capture_output=True, text=True)
    assert "No space left on device" in done.stderr
