"""A watcher that was killed for good, with all that belongs to it, is reported by something that is not itself: by a
portal beside it or on another machine, and by the ping that does not come any more."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dead_man import DeadMan, dead_man
from ports import free_port
from postbox import Mailbox
from product import STUDY, Product
from waiting import wait_until

Make = Callable[..., Product]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[DeadMan]:
    with dead_man(tmp_path) as running:
        yield running


def configured(product: Product, server: DeadMan, of: Product | None = None, **more: Any) -> Product:
    folders = of or product
    study = STUDY | {"folders": str(folders.root / "study"), "deliver": [{"to": str(folders.studies)}]}
    health = {"look": "300ms", "ping": server.url(), "every": "300ms", "allow_private": ["127.0.0.1"]}
    return product.configure({"study": study}, health=health, **more)


def kill(tree: subprocess.Popen[str]) -> None:
    """The whole tree of processes, for good: nobody of it can say or clean up anything."""
    os.killpg(tree.pid, signal.SIGKILL)
    tree.wait()


def told(product: Product, kind: str) -> list[dict[str, Any]]:
    return [event["data"] for event in product.listing("events", "--kind", kind)]


def mailed(box: Mailbox) -> str:
    """All that ops was written, as text."""
    bodies = [letter.message.get_body(("plain",)) for letter in box.letters]
    return "\n".join(str(body.get_content()) for body in bodies if body)


def alive(product: Product) -> list[str]:
    [found] = product.run("health", "--json", status=None).objects
    return [one["tree"] for one in found["machines"] if one["alive"]]


@pytest.mark.crash
def test_a_portal_beside_a_killed_service_says_so_by_mail_and_the_ping_fails_then_stops(
    sqlite_product: Product, server: DeadMan, make_mailbox: Callable[[], Mailbox]
) -> None:
    box = make_mailbox()
    notify = {"trouble": ["mailto:ops@lab.example"], "gather": 0, "every": 0}
    told_by_mail: dict[str, Any] = {"mail": box.key, "notify": notify}
    product = configured(sqlite_product, server, **told_by_mail)
    service = product.start("run")
    wait_until(lambda: server.last == "/uuid", deadline_seconds=60, what="a ping that all is well")
    assert product.run("health").stdout.startswith("Nothing is late.\nAlive: service on ")
    configured(product, server, portal={"listen": f"127.0.0.1:{free_port()}"}, **told_by_mail)
    portal = product.start("portal")
    wait_until(
        lambda: alive(product) == ["service", "portal"], deadline_seconds=60, what="the portal's sentinel"
    )
    kill(service)
    # On a busy machine two looks are up to half a minute apart.
    wait_until(lambda: server.last == "/uuid/fail", deadline_seconds=60, what="a ping that fails")
    watcher = wait_until(
        lambda: [one for one in told(product, "trouble") if one["trouble"] == "watcher"], what="the event"
    )
    assert [one["what"] for one in watcher] == ["it is not running"]
    said = product.run("health", status=1).stdout
    assert "LATE watcher: it is not running. Next: " in said and "VANISHED service on " in said
    assert said.count("on this machine: ") == 1, "of two trees on one machine"
    wait_until(lambda: "Watcher: it is not running" in mailed(box), what="the mail")
    service = product.start("run")
    wait_until(lambda: server.last == "/uuid", deadline_seconds=60, what="a ping that all is well again")
    over = wait_until(lambda: told(product, "trouble-over"), what="the end of the trouble")
    assert "watcher" in {one["trouble"] for one in over}
    assert len([one for one in told(product, "trouble") if one["trouble"] == "watcher"]) == 1
    kill(portal)
    kill(service)
    wait_until(lambda: server.is_overdue(2), what="the pings' end")


@pytest.mark.crash
def test_a_sentinel_on_another_machine_says_so(
    make_product: Make, postgres_url: str, server: DeadMan
) -> None:
    first, second = make_product(postgres_url), make_product(postgres_url)
    configured(first, server)
    first.drain()  # makes the tables
    configured(second, server, first)
    shutil.copytree(first.root / "var/keys", second.root / "var/keys", dirs_exist_ok=True)
    doctor = {one["about"]: one["level"] for one in second.run("doctor", "--json", status=None).objects}
    assert doctor[f"ping to 127.0.0.1:{server.port}"] == "ok"
    sentinel = second.start("sentinel")
    wait_until(lambda: alive(second) == ["sentinel"], deadline_seconds=60, what="the sentinel")
    service = first.start("run")
    wait_until(lambda: server.last == "/uuid", deadline_seconds=60, what="a ping that all is well")
    kill(service)
    wait_until(
        lambda: "watcher" in [one["trouble"] for one in told(second, "trouble")],
        deadline_seconds=60,
        what="the event",
    )
    wait_until(lambda: server.last == "/uuid/fail", what="a ping that fails")
    sentinel.terminate()
    assert sentinel.wait(60) == 0
    assert "sentinel" not in alive(second)
