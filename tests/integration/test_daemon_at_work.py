# mypy: disable-error-code="misc"
"""The daemon delivers as one account what another one sends; killed as a whole or in part, it loses nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from people import Person, Program
from product import STUDY, Product
from waiting import wait_until

BIG = 40 << 20  # keeps a worker busy long enough to be found at it
PROCESSES = 4  # the first ones: the watcher, two workers, and what calls `after`


class Daemon:
    """start_watcher as the service's account; the sender is another one."""

    def __init__(self, product: Product, service: Person, sender: Person) -> None:
        self.product, self.service, self.sender = product, service, sender
        product.configure({"study": STUDY | {"settle": "1s"}})
        for path in (product.root, *product.root.rglob("*")):
            service.owns(path)
        product.root.chmod(0o755)
        product.folder("inbox").parent.chmod(0o755)
        os.chown(product.folder("inbox"), service.uid, service.gid)
        product.folder("inbox").chmod(0o3773)

    def command(self, *args: str, status: int | None = 0) -> str:
        return self.product.run(*args, status=status, as_person=self.service).stdout

    def start(self) -> None:
        self.command("start_watcher")

    def send(self, name: str, size_bytes: int = 10, files: int = 1) -> None:
        """A folder, by the sender, with umask 002; the setgid inbox gives it the service's group."""
        fill = f'for n in $(seq {files}); do head -c {size_bytes} /dev/zero >".up-{name}/{name}-$n"; done'
        script = f"mkdir .up-{name} && {fill} && mv .up-{name} {name}"
        self.sender.run("sh", "-c", script, umask=0o002, cwd=self.product.folder("inbox"))

    def has_stopped_in_time(self) -> bool:
        """By itself: after life.STOP_SECONDS it is ended without a word."""
        return "Stopped" in (self.product.root / "var/watcher.out").read_text()

    @property
    def pid(self) -> int:
        return int((self.product.root / "var/watcher.pid").read_text().split()[0])

    def children(self) -> list[int]:
        """The watcher first, then the workers: in the order in which they were forked at the start."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def delivered_names(self) -> set[str]:
        return set(os.listdir(self.product.studies))  # what it stages comes and goes below

    def waits_for(self, *names: str, files: int = 1) -> None:
        wanted = {f"{name}-{number}" for name in names for number in range(1, files + 1)}
        wait_until(lambda: wanted <= self.delivered_names(), deadline_seconds=60, what=f"delivery of {names}")

    def is_busy(self) -> bool:
        with suppress(FileNotFoundError):
            return bool(os.listdir(self.product.studies / ".dropslot/stage"))
        return False


@pytest.fixture
def daemon(
    make_product: Callable[..., Product],
    open_folder: Path,
    program_for_everybody: Program,
    service_user: Person,
    other_user: Person,
) -> Iterator[Daemon]:
    product = make_product(root=open_folder / "product", how=program_for_everybody)
    running = Daemon(product, service_user, other_user)
    yield running
    running.command("stop_watcher", status=None)


def has_ended(pid: int) -> bool:
    """Also when nobody has reaped it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def recorded_once(daemon: Daemon, *names: str, files: int = 1) -> None:
    """Every file one delivery, one version, one place in done; nothing in between."""
    product = daemon.product
    inbox = product.folder("inbox")
    wait_until(lambda: not any(inbox.iterdir()) and not product.held(), what="empty inbox and processing")
    history = [(row["item"], row["version"], row["outcome"]) for row in product.history()]
    wanted = [(f"{name}-{number}", 1, "delivered") for name in names for number in range(1, files + 1)]
    assert sorted(history) == sorted(wanted)
    assert {row["sender"] for row in product.history()} == {daemon.sender.name}
    assert {path.name for path in product.folder("done").iterdir()} == set(names)
    assert "OK" in product.run("verify", "--fixity").stdout
    assert not list(product.studies.rglob(".dropslot/stage"))


def test_daemon_of_one_account_delivers_what_another_sends_and_stops_in_time(daemon: Daemon) -> None:
    daemon.send("before")  # there before the start: the scan at start finds it
    daemon.start()
    names = [f"s{number}" for number in range(5)]
    for name in names:
        daemon.send(name)
    daemon.waits_for("before", *names)
    recorded_once(daemon, "before", *names)
    pid = daemon.pid
    daemon.command("stop_watcher")
    assert has_ended(pid) and daemon.has_stopped_in_time()
    uids = {path.lstat().st_uid for path in daemon.product.studies.rglob("*")}
    assert uids == {daemon.service.uid}


@pytest.mark.crash
def test_kill_of_the_watcher_and_of_each_worker_in_mid_work_loses_nothing(daemon: Daemon) -> None:
    daemon.start()
    supervisor = daemon.pid
    for round_number, which in enumerate(range(PROCESSES)):
        daemon.send(f"big{round_number}", BIG, files=2)
        wait_until(daemon.is_busy, what="a worker at work")
        victim, number = daemon.children()[which], len(daemon.children())
        os.kill(victim, signal.SIGKILL)
        daemon.send(f"small{round_number}", files=2)
        wait_until(
            lambda gone=victim, whole=number: (
                gone not in daemon.children() and len(daemon.children()) == whole
            ),
            what="a new one",
        )
    names = [f"{kind}{number}" for kind in ("big", "small") for number in range(PROCESSES)]
    daemon.waits_for(*names, files=2)
    assert daemon.pid == supervisor
    recorded_once(daemon, *names, files=2)


@pytest.mark.crash
def test_kill_of_the_whole_daemon_in_mid_work_and_a_restart_deliver_once(daemon: Daemon) -> None:
    daemon.start()
    for round_number in range(2):
        daemon.send(f"big{round_number}", BIG, files=2)
        wait_until(daemon.is_busy, what="a worker at work")
        children = daemon.children()
        os.kill(daemon.pid, signal.SIGKILL)
        for child in children:  # die_with_parent ends them; none may be left beside the new ones
            wait_until(lambda pid=child: has_ended(pid), what="the end of its children")
        daemon.send(f"meanwhile{round_number}", files=2)
        daemon.start()
    names = [f"{kind}{number}" for kind in ("big", "meanwhile") for number in range(2)]
    daemon.waits_for(*names, files=2)
    recorded_once(daemon, *names, files=2)


def test_stop_in_mid_work_takes_less_than_ten_seconds_and_the_next_start_goes_on(daemon: Daemon) -> None:
    daemon.start()
    daemon.send("big", BIG, files=4)
    wait_until(daemon.is_busy, what="a worker at work")
    daemon.command("stop_watcher")
    assert daemon.has_stopped_in_time()
    daemon.start()
    daemon.waits_for("big", files=4)
    recorded_once(daemon, "big", files=4)


def test_destination_that_comes_back_is_delivered_to_without_anybodys_help(daemon: Daemon) -> None:
    product = daemon.product
    product.studies.rmdir()
    daemon.start()
    daemon.send("s")
    product.wait_for_state("s", "retrying")
    product.studies.mkdir()
    daemon.service.owns(product.studies)
    daemon.waits_for("s")
    recorded_once(daemon, "s")
