"""Machines that share folders and one PostgreSQL: one is cut off and comes back, another gets a new name."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from test_several_watchers import pid_of, who_acts

from dropslot.audit import signing_key
from hosts import Host, Hosts
from product import STUDY, Product
from waiting import wait_until

HOLDING = """
import socket, threading
from pathlib import Path
from dropslot.checks.base import Check

class Holding(Check):
    '''On the machine that is named in `held`, wait until that file is gone.'''
    def check(self, arrival):
        held = Path(self.option) / "held"
        never = threading.Event()
        while held.exists() and held.read_text() == socket.gethostname():
            (Path(self.option) / "holding").touch()
            never.wait(0.05)
        return ()
"""

Machine = tuple[Host, Product]


@pytest.fixture
def machines(
    make_product: Callable[..., Product], postgres_url: str, hosts: Hosts, tmp_path: Path
) -> list[Machine]:
    """Two, with one set of folders and one database; each has its own data folder."""
    made = []
    shared = tmp_path / "shared"
    parts = urlsplit(postgres_url)
    for _ in range(2):
        host = hosts(parts.port or 0)
        url = f"postgresql://{parts.username}@{host.address}:{host.port}{parts.path}"
        product = make_product(url, how=host.program())
        (product.root / "plugins").mkdir()
        (product.root / "plugins/holding.py").write_text(HOLDING)
        route = STUDY | {"folders": str(shared / "study"), "deliver": [{"to": str(shared / "studies")}]}
        product.configure({"study": route | {"checks": [{"holding.Holding": str(shared)}]}}, lease="4s")
        product.studies = shared / "studies"
        for name in ("study/inbox", "study/processing", "study/done", "study/failed", "studies"):
            (shared / name).mkdir(parents=True, exist_ok=True)
        made.append((host, product))
    (_, first), (_, second) = made
    signing_key.receipt_key(first.root / "var" / "keys")
    shutil.copytree(first.root / "var", second.root / "var")  # all sign with one key
    return made


def drop(product: Product, name: str) -> None:
    aside = product.studies.parent / f".{name}"
    aside.mkdir()
    (aside / f"{name}.txt").write_text(name)
    aside.rename(product.studies.parent / "study/inbox" / name)


@pytest.mark.crash
def test_a_machine_that_is_cut_off_loses_inbox_and_arrival_and_does_no_harm_when_it_returns(
    machines: list[Machine],
) -> None:
    (cut, first), (_, second) = machines
    shared = first.studies.parent
    first.start("start_observer")
    wait_until(lambda: who_acts(second)["acts"], what="a watcher that acts")
    assert who_acts(second)["acts"].startswith(cut.name)
    (shared / "held").write_text(cut.name)
    drop(first, "held-up")
    wait_until((shared / "holding").exists, what="a worker of the first machine in the middle of the arrival")
    second.start("start_observer")
    wait_until(lambda: who_acts(second)["stand_by"], what="a watcher that stands by")
    cut.cut()
    drop(second, "after-the-cut")
    wait_until(lambda: not (who_acts(second)["acts"] or cut.name).startswith(cut.name), what="the takeover")
    for name in ("held-up", "after-the-cut"):
        second.wait_for_state(name, "done")
    cut.join()
    (shared / "held").unlink()  # the first machine goes on where it was
    log = first.root / "start_observer.log"
    wait_until(
        lambda: "No longer acts on the inbox" in log.read_text(), deadline_seconds=60, what="its resignation"
    )
    wait_until(lambda: who_acts(second)["stand_by"], deadline_seconds=60, what="the first machine stands by")
    drop(second, "last")
    second.wait_for_state("last", "done")
    rows = sorted((row["name"], row["version"], row["outcome"]) for row in second.history())
    assert rows == [(name, 1, "delivered") for name in ("after-the-cut", "held-up", "last")]
    assert sorted(path.name for path in second.studies.glob("*.txt")) == [
        "after-the-cut.txt",
        "held-up.txt",
        "last.txt",
    ]
    assert "OK" in second.run("verify", "--fixity").stdout
    assert not list(second.studies.glob(".dropslot/stage/*"))
    [takeover] = second.listing("events", "--kind", "taken-over")
    assert takeover["data"]["epoch"] == 2


@pytest.mark.crash
def test_a_machine_with_a_new_name_takes_over_its_own_dead_worker_without_waiting_for_the_lease(
    machines: list[Machine],
) -> None:
    host, product = machines[0]
    shared = product.studies.parent
    product.configure(
        {
            "study": {
                "folders": str(shared / "study"),
                "checks": [{"holding.Holding": str(shared)}],
                "deliver": [{"to": str(shared / "studies")}],
            }
        },
        lease="1h",
    )
    product.studies = shared / "studies"
    (shared / "held").write_text(host.name)
    service = product.start("start_observer")
    wait_until(lambda: pid_of(who_acts(product)["acts"]), what="a watcher that acts")
    drop(product, "a")
    wait_until((shared / "holding").exists, what="a worker that is in the middle of it")
    [started] = product.listing("events", "--kind", "started")
    host.rename("renamed", service.pid)
    (shared / "held").unlink()
    os.kill(int(started["data"]["worker"].split(":")[1]), signal.SIGKILL)
    product.wait_for_state("a", "done", deadline_seconds=60)
    assert service.poll() is None


@pytest.mark.crash
def test_each_site_watches_and_delivers_what_only_it_has(
    make_product: Callable[..., Product], postgres_url: str, hosts: Hosts, tmp_path: Path
) -> None:
    """One config.yaml for all sites; what the other one has is not to be seen here."""
    parts = urlsplit(postgres_url)
    places = {site: tmp_path / f"of-{site}" for site in ("north", "south")}
    routes = {}
    for site, place in places.items():
        to = place / "disk/studies"
        routes[site] = STUDY | {"folders": str(place / "disk/study"), "deliver": [{"to": str(to)}]}
        for name in ("study/inbox", "study/processing", "study/done", "study/failed", "studies"):
            (place / "disk" / name).mkdir(parents=True)
    products = {}
    for site, other in (("north", "south"), ("south", "north")):
        host = hosts(parts.port or 0)
        url = f"postgresql://{parts.username}@{host.address}:{host.port}{parts.path}"
        products[site] = make_product(url, how=host.program(places[other]))
        products[site].configure(routes)
    signing_key.receipt_key(products["north"].root / "var" / "keys")
    shutil.copytree(products["north"].root / "var", products["south"].root / "var")  # all sign with one key
    for product in products.values():
        product.start("start_observer")
    watched = products["north"]
    for site in places:
        wait_until(partial(site_acts, watched, site), what=f"a watcher at {site}")
    assert site_acts(watched, "north") != site_acts(watched, "south")
    for number in range(8):
        for site, place in places.items():
            aside = place / f"disk/{number}"
            aside.mkdir()
            (aside / f"{number}.txt").write_text(site)
            aside.rename(place / f"disk/study/inbox/{site}-{number}")
    names = {f"{site}-{number}" for site in places for number in range(8)}

    def all_done() -> bool:
        return {row["name"] for row in watched.arrivals("--state", "done")} == names

    wait_until(all_done, deadline_seconds=60, what="all deliveries")
    workers = {row["id"]: row["route"] for row in watched.arrivals()}
    begun = watched.listing("events", "--kind", "started")
    machines = {(workers[event["arrival"]], event["data"]["worker"].partition(".")[0]) for event in begun}
    assert len(begun) == len(names) and len(machines) == 2, machines
    assert not watched.listing("events", "--kind", "retrying")


@pytest.mark.crash
def test_what_only_a_machine_that_is_down_has_waits_for_it(
    make_product: Callable[..., Product], postgres_url: str, hosts: Hosts, tmp_path: Path
) -> None:
    """The other site could deliver to the centre; but it does not have the files."""
    parts = urlsplit(postgres_url)
    centre, places = tmp_path / "centre", {site: tmp_path / f"of-{site}" for site in ("north", "south")}
    centre.mkdir()
    check = {"checks": [{"holding.Holding": str(centre)}], "deliver": [{"to": str(centre)}]}
    routes = {site: STUDY | {"folders": str(place / "study")} | check for site, place in places.items()}
    products, names = {}, {}
    for site, other in (("north", "south"), ("south", "north")):
        for name in ("inbox", "processing", "done", "failed"):
            (places[site] / "study" / name).mkdir(parents=True)
        host = hosts(parts.port or 0)
        url = f"postgresql://{parts.username}@{host.address}:{host.port}{parts.path}"
        products[site], names[site] = make_product(url, how=host.program(places[other])), host.name
        (products[site].root / "plugins").mkdir()
        (products[site].root / "plugins/holding.py").write_text(HOLDING)
        products[site].configure(routes, lease="4s")
    north, south = products["north"], products["south"]
    signing_key.receipt_key(north.root / "var" / "keys")
    shutil.copytree(north.root / "var", south.root / "var")
    (centre / "held").write_text(names["north"])
    service = north.start("start_observer")
    wait_until(partial(site_acts, south, "north"), what="a watcher in the north")
    (places["north"] / "study/inbox/mine.tmp").write_text("m")
    (places["north"] / "study/inbox/mine.tmp").rename(places["north"] / "study/inbox/mine")
    wait_until((centre / "holding").exists, what="a worker that is in the middle of it")
    [started] = south.listing("events", "--kind", "started")
    service.kill()
    service.wait()
    os.kill(int(started["data"]["worker"].split(":")[1]), signal.SIGKILL)
    south.start("start_observer")
    wait_until(lambda: not site_acts(south, "north"), deadline_seconds=60, what="the end of the lease")
    for number in range(3):
        inbox = places["south"] / "study/inbox"
        (inbox / f"{number}.tmp").write_text("s")
        (inbox / f"{number}.tmp").rename(inbox / f"yours{number}")
        south.wait_for_state(f"yours{number}", "done")
    [mine] = [row for row in south.arrivals() if row["name"] == "mine"]
    assert mine["state"] != "failed", mine["reason"]
    wait_until(
        partial(is_named, south, names["north"]), deadline_seconds=90, what="health that names the machine"
    )
    (centre / "held").unlink()
    north.start("start_observer")
    south.wait_for_state("mine", "done", deadline_seconds=60)
    assert not south.listing("events", "--kind", "refused")


def site_acts(product: Product, route: str) -> str | None:
    shown = json.loads(product.run("watcher_status", "--json", status=None).stdout)
    acts: str | None = next(one["acts"] for one in shown["inboxes"] if one["route"] == route)
    return acts


def is_named(product: Product, host: str) -> bool:
    """Whether health says which machine watched an inbox that nobody watches now."""
    return f"no watcher acts on it, though one runs; {host} (pid" in product.run("health", status=None).stdout
