# mypy: disable-error-code="misc"
"""The daemon as a daemon: real processes, started, killed, restarted, as another account."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dropslot.config import load
from dropslot.core import context
from dropslot.core.errors import DropslotError
from dropslot.running import daemon
from people import Person
from product import Ended
from waiting import wait_until

SOURCE = Path(__file__).parents[2] / "src"

# Stands for dropslot.arrivals.workers.supervised_processes.serve; a file beside config.yaml says what the daemon does.
PROGRAM = """
import os, signal, sys, threading, time
from pathlib import Path
from dropslot.config import load
from dropslot.core.errors import DropslotError
from dropslot.running import daemon, life
from dropslot.watching.processors import LogEvents, Pairs
from dropslot.watching.watcher import Watcher
from dropslot.config import folder_sets

how, path = sys.argv[1:3]
config = load(Path(path))
behaviour = set(sys.argv[3:])
if account := os.environ.get("TEST_ACCOUNT"):
    # After the imports: the account need not be able to enter the folder of this Python.
    uid, gid = map(int, account.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if "quick-kill" in behaviour:
    life.STOP_SECONDS = 0.5

def serve(life):
    if "fails" in behaviour:
        raise DropslotError("The database is locked")
    if "dies" in behaviour:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hangs" in behaviour:
        life.ready()
        while True:
            time.sleep(60)
    if "child" in behaviour:
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        Path(path).with_name("child").write_text(str(pid))
    print("printed by serve")
    pairs = Pairs(lambda: [one for route in config.routes.values() for one in folder_sets(route)])
    Watcher(pairs(), refresh=pairs, ready=lambda: life.ready("watching"), beat=life.beat).run(life)
    if "fails-late" in behaviour:
        raise RuntimeError("late")

try:
    if how == "start":
        status = daemon.start(config, serve)
        print(status.pid, status.places.warning)
    elif how == "foreground":
        daemon.foreground(config, serve)
    elif how == "stop":
        print(daemon.stop(config))
    else:
        status = daemon.status(config)
        print(status.pid if status.running else "not running")
except DropslotError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


class Installation:
    """A config.yaml, and the daemon of its data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "config.yaml"
        self.data = root / "var"
        self.inbox = root / "r" / "inbox"
        self.pid_file = self.data / "watcher.pid"
        self.person: Person | None = None
        self.environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(root)}
        self._write_config()
        self.inbox.mkdir(parents=True)

    def _write_config(self, **more: Any) -> None:
        route = {
            "folders": "./r",
            "deliver": [{"to": "./to"}],
            "processors": ["dropslot.watching.processors.LogEvents"],
        }
        self.config.write_text(json.dumps({"data": "./var", "routes": {"r": route}, **more}))

    configure = _write_config

    def command(self, how: str, *behaviour: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, how, str(self.config), *behaviour]

    def run(self, how: str, *behaviour: str, status: int = 0) -> Ended:
        if how in ("status", "stop") and not self.person:
            return self._ask_here(how, status)
        account = {"TEST_ACCOUNT": f"{self.person.uid}:{self.person.gid}"} if self.person else {}
        done = subprocess.run(
            self.command(how, *behaviour),
            env=self.environment | account,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    def _ask_here(self, how: str, status: int) -> Ended:
        """What PROGRAM does for these, in this process: they only look and send a signal."""
        context.renew()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(self.root))
            config = load(self.config)
            try:
                if how == "stop":
                    told = str(daemon.stop(config))
                else:
                    found = daemon.status(config)
                    told = str(found.pid) if found.running else "not running"
            except DropslotError as error:
                assert status == 1, error
                return Ended(1, "", f"{error}\n")
        assert status == 0, told
        return Ended(0, f"{told}\n", "")

    def start(self, *behaviour: str) -> int:
        return int(self.run("start", *behaviour).stdout.split()[0])

    @property
    def out(self) -> str:
        return (self.data / "watcher.out").read_text()

    @property
    def err(self) -> str:
        return (self.data / "watcher.err").read_text()

    def close(self) -> None:
        self.person = None
        if list(self.root.rglob("watcher.pid")):  # otherwise it has ended
            with contextlib.suppress(AssertionError):  # it was killed
                self._ask_here("stop", 0)


def is_alive(pid: int) -> bool:
    """Runs, and is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path)
    yield installation
    installation.close()


def test_daemon_runs_detached_and_stops_cleanly(installed: Installation) -> None:
    pid = installed.start()
    assert installed.pid_file.read_text() == f"{pid}\n"
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert int(fields[3]) not in (pid, os.getsid(0))  # its session: not ours, and it does not lead it
    assert int(fields[4]) == 0  # no terminal
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{pid}/fd/1") == str(installed.data / "watcher.out")
    assert os.readlink(f"/proc/{pid}/fd/2") == str(installed.data / "watcher.err")
    assert "Umask:\t0027" in Path(f"/proc/{pid}/status").read_text()
    assert installed.run("status").stdout == f"{pid}\n"
    assert installed.run("stop").stdout == f"{pid}\n"
    assert not is_alive(pid)
    assert not installed.pid_file.exists()
    assert installed.run("status").stdout == "not running\n"
    assert installed.err == ""


def test_files_of_the_daemon_are_private(installed: Installation) -> None:
    installed.start()
    for path in (
        installed.pid_file,
        *installed.data.glob("watcher.*"),
        installed.data / "logs" / "dropslot.jsonl",
    ):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(installed.data.stat().st_mode) == 0o700


def test_event_lines_go_to_watcher_out_and_names_stay_out_of_the_json_log(installed: Installation) -> None:
    installed.start()
    (installed.inbox / "patient").mkdir()
    line = f"IN_CREATE|IN_ISDIR: {installed.inbox}/patient\n"
    wait_until(lambda: line in installed.out)
    watch = f"Adding watch on {installed.inbox}, processed by dropslot.watching.processors.LogEvents\n"
    assert watch in installed.out
    assert "printed by serve\n" in installed.out
    text = (installed.data / "logs" / "dropslot.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert "patient" not in text
    assert any(entry["action"] == "file_event" for entry in entries)
    assert all(entry["time"].endswith("Z") for entry in entries)


def test_log_names_shows_names_in_the_json_log(installed: Installation) -> None:
    installed.configure(log_names=True)
    installed.start()
    (installed.inbox / "patient").mkdir()
    wait_until(lambda: "patient" in (installed.data / "logs" / "dropslot.jsonl").read_text())


def test_second_start_is_refused(installed: Installation) -> None:
    pid = installed.start()
    refused = installed.run("start", status=1)
    assert f"A watcher is already running: pid {pid}" in refused.stderr
    assert is_alive(pid)
    assert f"pid {pid}" in installed.run("foreground", status=1).stderr


def test_stop_without_a_daemon_says_so(installed: Installation) -> None:
    assert (
        installed.run("stop", status=1).stderr.strip()
        == f"No watcher is running: no pid file exists at {installed.pid_file}."
    )


def test_pid_file_of_a_killed_daemon_is_replaced(installed: Installation) -> None:
    first = installed.start()
    kill(first)
    assert installed.pid_file.exists()
    assert installed.run("status").stdout == "not running\n"
    second = installed.start()
    assert second != first
    assert installed.pid_file.read_text() == f"{second}\n"


def test_stop_after_a_kill_removes_the_stale_file(installed: Installation) -> None:
    kill(installed.start())
    assert "no pid file exists at" in installed.run("stop", status=1).stderr
    assert not installed.pid_file.exists()


def test_pid_used_again_by_another_process_is_recognised(installed: Installation) -> None:
    installed.data.mkdir(mode=0o700)
    with subprocess.Popen(["sleep", "60"]) as other:
        installed.pid_file.write_text(f"{other.pid}\n")
        assert installed.run("status").stdout == "not running\n"
        assert "no pid file exists" in installed.run("stop", status=1).stderr
        installed.pid_file.write_text(f"{other.pid}\n")
        pid = installed.start()
        assert installed.pid_file.read_text() == f"{pid}\n"
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("content", ["", "garbage\n", "999999999999999999999999\n", "-1\n", "0\n"])
def test_pid_file_with_any_content_is_stale_when_nobody_holds_it(
    installed: Installation, content: str
) -> None:
    installed.data.mkdir(mode=0o700)
    installed.pid_file.write_text(content)
    assert installed.run("status").stdout == "not running\n"
    assert installed.start() > 1


def test_worker_that_outlives_a_killed_daemon_does_not_keep_the_lock(installed: Installation) -> None:
    first = installed.start("child")
    kill(first)
    orphan = int((installed.root / "child").read_text())
    try:
        assert is_alive(orphan)
        assert installed.start() != first
    finally:
        os.kill(orphan, signal.SIGKILL)


def test_failed_start_says_why(installed: Installation) -> None:
    failed = installed.run("start", "fails", status=1)
    assert "The watcher did not start: The database is locked" in failed.stderr
    assert str(installed.data / "watcher.err") in failed.stderr
    assert not installed.pid_file.exists()
    assert "Traceback" in installed.err


def test_death_before_it_is_up_is_a_failed_start(installed: Installation) -> None:
    assert "it ended without an error message" in installed.run("start", "dies", status=1).stderr


def test_fault_after_the_start_is_in_watcher_err(installed: Installation) -> None:
    pid = installed.start("fails-late")
    installed.run("stop")
    assert not is_alive(pid)
    assert "RuntimeError: late" in installed.err
    assert not installed.pid_file.exists()


def test_daemon_that_does_not_stop_by_itself_is_ended_with_a_traceback(installed: Installation) -> None:
    pid = installed.start("hangs", "quick-kill")
    installed.run("stop")
    assert not is_alive(pid)
    assert "Timeout" in installed.err
    assert "in serve" in installed.err


def test_log_moved_away_is_begun_anew(installed: Installation) -> None:
    pid = installed.start()
    (installed.data / "watcher.out").rename(installed.data / "moved")
    os.kill(pid, signal.SIGHUP)
    (installed.inbox / "a").touch()
    wait_until(lambda: (installed.data / "watcher.out").exists() and "/a\n" in installed.out)


def test_unwritable_data_folder_sends_the_files_to_the_temporary_folder(installed: Installation) -> None:
    installed.data.write_text("not a folder")
    printed = installed.run("start").stdout
    pid, _, warning = printed.partition(" ")
    assert "cannot be written" in warning
    (folder,) = installed.root.glob(f"dropslot-{os.geteuid()}-*")
    assert (folder / "watcher.pid").read_text() == f"{pid}\n"
    assert "WARNING:" in (folder / "watcher.out").read_text()
    assert installed.run("status").stdout == f"{pid}\n"
    assert installed.run("stop").stdout == f"{pid}\n"


def test_folder_in_the_temporary_folder_that_someone_else_made_is_not_used(
    installed: Installation, other_user: Person
) -> None:
    installed.data.write_text("not a folder")
    installed.start()
    installed.run("stop")
    (folder,) = installed.root.glob("dropslot-*-*")
    other_user.owns(folder)
    assert "is not a folder that only uid" in installed.run("start", status=1).stderr


def test_foreground_stops_at_sigterm_and_sigint(installed: Installation) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(
            installed.command("foreground"), env=installed.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            wait_until(lambda p=process: "Adding watch" in p.stdout.readline())
            assert installed.run("status").stdout == f"{process.pid}\n"
            process.send_signal(number)
            assert process.wait(60) == 0
        assert not installed.pid_file.exists()


def test_systemd_is_told_how_we_are(installed: Installation) -> None:
    address = str(installed.root / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(10)
        installed.environment |= {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}
        with subprocess.Popen(installed.command("foreground"), env=installed.environment) as process:
            assert server.recv(4096) == b"READY=1\nSTATUS=watching"
            assert server.recv(4096) == b"WATCHDOG=1"
            process.terminate()
            wait_until(lambda: server.recv(4096) == b"STOPPING=1")
            assert process.wait(60) == 0


def test_systemd_that_is_gone_does_not_end_us(installed: Installation) -> None:
    installed.environment["NOTIFY_SOCKET"] = str(installed.root / "nobody-listens")
    pid = installed.start()
    assert is_alive(pid)
    assert "systemd cannot be notified" in installed.err


def test_daemon_of_another_account_than_the_senders(
    open_folder: Path, service_user: Person, other_user: Person
) -> None:
    open_folder.chmod(0o755)
    installed = Installation(open_folder)
    installed.inbox.chmod(0o3773)
    service_user.owns(open_folder, open_folder / "r", installed.inbox, installed.config)
    installed.inbox.chmod(0o3773)
    installed.person = service_user
    try:
        pid = installed.start()
        assert os.stat(f"/proc/{pid}").st_uid == service_user.uid
        other_user.run("mkdir", str(installed.inbox / "from-another"))
        wait_until(lambda: "from-another" in installed.out)
        installed.person = other_user
        installed.run("start", status=1)  # it may not look whether one runs
        assert not list(Path(tempfile.gettempdir()).glob(f"dropslot-{other_user.uid}-*"))
        assert is_alive(pid)
        installed.person = service_user
        assert installed.run("stop").stdout == f"{pid}\n"
    finally:
        installed.close()


def test_commands_start_show_and_stop_the_watcher(make_product: Callable[..., Any]) -> None:
    product = make_product()
    route = {"folders": "./study", "deliver": [{"to": "./studies"}]}
    product.configure({"study": route | {"processors": ["dropslot.watching.processors.LogEvents"]}})
    refused = product.run("stop_watcher", status=1)
    assert refused.stderr == f"No watcher is running: no pid file exists at {product.root}/var/watcher.pid.\n"
    try:
        assert "The watcher is running: pid" in product.run("start_watcher", "--test").stdout
        status = product.run("watcher_status", "--json").objects[0]
        assert status["running"] is True
        assert status["routes"] == [{"route": "study", "inbox": f"{product.root}/study/inbox"}]
        assert "A watcher is already running" in product.run("watcher_start", status=1).stderr
        beside = product.run("run", status=1)
        assert not beside.stdout and "dropslot start_watcher --restart" in beside.stderr
        product.run("watcher_start", "--restart")
        again = product.run("watcher_status", "--json").objects[0]
        assert again["pid"] != status["pid"]
        assert f"pid {again['pid']}" in product.run("watcher_status").stdout
    finally:
        product.run("watcher_stop", status=None)
    assert product.run("watcher_status", status=1).stdout.startswith("The watcher is not running")


def test_unit_file_names_what_the_service_needs() -> None:
    text = (SOURCE / "dropslot" / "cli" / "units" / "dropslot.service").read_text()
    for line in (
        "Type=notify",
        "WatchdogSec=",
        "AmbientCapabilities=CAP_CHOWN",
        "CapabilityBoundingSet=CAP_CHOWN",
    ):
        assert f"\n{line}" in text
    assert "\nPrivateUsers" not in text
    assert textwrap.dedent(text) == text
