"""The portal as a process of the service: its death, its address, its logs and its end disturb no delivery."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from portals import PASSWORD, Served, installed
from product import Product
from waiting import wait_until

AT_REST_MB = 90


def portals_of(product: Product) -> list[int]:
    """The process ids of this installation's portals."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"portal" in arguments and os.fsencode(product.config) in arguments:
                found.append(int(folder.name))
    return found


def _log(served: Served, command: str = "run") -> str:
    return (served.product.root / f"{command}.log").read_text()


def test_a_killed_portal_comes_back_and_deliveries_go_on(served: Served) -> None:
    served.start("run")
    [pid] = portals_of(served.product)
    os.kill(pid, signal.SIGKILL)
    served.product.drop("heart-1", {"scan": b"a"}, "study")
    served.product.wait_for_state("heart-1", "done")
    wait_until(served.answers, deadline_seconds=60, what="the portal's answer")
    assert portals_of(served.product) not in ([], [pid])
    assert "The process portal ended with -9" in _log(served)
    assert served.process is not None
    served.process.terminate()
    assert served.process.wait(60) == 0
    assert portals_of(served.product) == []


@pytest.mark.crash
def test_a_taken_port_is_said_once_and_had_when_it_is_free(served: Served) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", served.port))
        other.listen()
        process = served.product.start("run")
        wait_until(lambda: "cannot listen" in _log(served), deadline_seconds=60, what="the log line")
        for number in range(3):
            served.product.drop(f"heart-{number}", {"scan": b"%d" % number}, "study")
            served.product.wait_for_state(f"heart-{number}", "done")
        assert _log(served).count("cannot listen") == 1
        assert "ended with" not in _log(served)
    wait_until(served.answers, deadline_seconds=60, what="the portal's answer")
    assert process.poll() is None


def test_alone_a_taken_port_is_an_error(served: Served) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", served.port))
        other.listen()
        ended = served.product.run("portal", status=1)
    assert "cannot listen" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("portal", ["off", None])
def test_no_key_or_off_is_no_portal(served: Served, portal: str | None) -> None:
    content = yaml.safe_load(served.product.config.read_text())
    content["portal"] = portal
    if portal is None:
        del content["portal"]
    served.product.config.write_text(yaml.safe_dump(content))
    served.product.start("run")
    served.product.drop("heart-1", {"scan": b"a"}, "study")
    served.product.wait_for_state("heart-1", "done")
    assert portals_of(served.product) == []
    assert "portal" in served.product.run("portal", status=1).stderr


def test_the_daemons_portal_writes_into_its_logs_and_ends_with_it(served: Served) -> None:
    product = served.product
    product.run("start_watcher")
    try:
        wait_until(served.answers, deadline_seconds=60, what="the portal's answer")
        assert served.url in product.run("watcher_status").stdout
        assert f"The portal is at {served.url}" in (product.root / "var" / "watcher.out").read_text()
        assert "portal_started" in (product.root / "var" / "logs" / "dropslot.jsonl").read_text()
        [pid] = portals_of(product)
        assert os.readlink(f"/proc/{pid}/fd/1") == str(product.root / "var" / "watcher.out")
        [supervisor] = [int(line.split()[1]) for line in _status(pid) if line.startswith("PPid:")]
        os.kill(supervisor, signal.SIGKILL)
        wait_until(lambda: not portals_of(product), what="the portal's end")
    finally:
        product.run("stop_watcher", status=None)


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().splitlines()


def test_it_has_no_capability_of_the_service_and_a_lower_priority(served: Served) -> None:
    served.start("run")
    [pid] = portals_of(served.product)
    assert "CapAmb:\t0000000000000000" in _status(pid)
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_at_rest_it_adds_little_memory(served: Served) -> None:
    served.start("run")
    for _ in range(5):
        assert served.answers()
    [pid] = portals_of(served.product)
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    [kilobytes] = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    assert kilobytes / 1024 <= AT_REST_MB


def test_those_that_start_at_once_make_the_tables_once(
    make_product: Callable[..., Product], empty_database_url: str
) -> None:
    served = installed(make_product(empty_database_url, has_tables=False))
    file = served.product.root / "password"
    file.write_text(PASSWORD)
    commands = [
        ("portal",),
        ("run",),
        ("adduser", "olga", "--role", "operator", "--password-file", str(file)),
    ]
    started = [served.product.start(*command) for command in commands]
    wait_until(served.answers, deadline_seconds=90, what="the portal's answer")
    assert started[2].wait(90) == 0
    served.product.drop("heart-1", {"scan": b"a"}, "study")
    served.product.wait_for_state("heart-1", "done")
    for command in commands:
        assert "migrations" not in _log(served, command[0])
        assert "Traceback" not in _log(served, command[0])


def test_a_newer_database_is_recognized_by_the_tables_of_accounts(served: Served) -> None:
    served.account("olga", "operator")
    with closing(sqlite3.connect(served.product.root / "var" / "dropslot.sqlite3")) as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('dropslot_access', '0999_later', '2030-01-01')"
        )
        database.commit()
    assert "newer version" in served.product.run("portal", status=1).stderr
    assert "newer version" in served.product.run("drain", status=1).stderr  # people of studies are told
