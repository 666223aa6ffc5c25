"""What is found out about servers before anything is taken: one that might replace a delivery is refused then."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from misbehaving import Honest, Misbehaving, ReplacingLink, ReplacingRename, WithoutHardlink
from product import STUDY, Product
from waiting import wait_until

NOTES_THREADS = """
import os, threading
begin = threading.Thread.start
def noted(self):
    with open(os.environ["THREADS"], "a") as file:
        file.write(f"{os.getpid()}\\n")
    begin(self)
threading.Thread.start = noted
def after(arrival):
    pass
"""
AT_ONCE = STUDY | {"settle": "100ms"}  # what is dropped before the service watches is whole all the same
SAYS = "may replace a file when it gives another one its name"


@pytest.fixture
def misbehave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[type[Honest]], Misbehaving]]:
    servers = []

    def start(kind: type[Honest]) -> Misbehaving:
        servers.append(Misbehaving(tmp_path, kind, monkeypatch))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def route_to(url: str, server_keys: Path) -> dict[str, Any]:
    keys = {"key": str(server_keys / "key"), "known_hosts": str(server_keys / "known_hosts")}
    return AT_ONCE | {"folders": "./away", "deliver": [{"to": url, **keys}]}


def taken(product: Product) -> list[str]:
    return [*[path.name for path in product.held("away")], *os.listdir(product.folder("failed", "away"))]


@pytest.mark.parametrize("kind", [WithoutHardlink, ReplacingRename, ReplacingLink])
def test_the_service_does_not_start_with_a_server_that_might_replace(
    sqlite_product: Product, tmp_path: Path, misbehave: Callable[..., Misbehaving], kind: type[Honest]
) -> None:
    (remote := tmp_path / "remote").mkdir()
    product = sqlite_product.configure({"away": route_to(misbehave(kind).url(remote), tmp_path)})
    product.drop("a.txt", b"1", route="away")
    assert SAYS in product.run("run", status=1).stderr
    assert SAYS in product.run("doctor", status=1).stdout
    assert taken(product) == []
    assert os.listdir(remote) == []


@pytest.mark.parametrize("kind", [WithoutHardlink, ReplacingRename])
def test_a_drain_takes_nothing_for_a_server_that_might_replace(
    sqlite_product: Product, tmp_path: Path, misbehave: Callable[..., Misbehaving], kind: type[Honest]
) -> None:
    (remote := tmp_path / "remote").mkdir()
    product = sqlite_product.configure({"away": route_to(misbehave(kind).url(remote), tmp_path)})
    product.drop("a.txt", b"1", route="away")
    assert SAYS in product.drain(status=1).stderr
    assert os.listdir(product.folder("inbox", "away")) == ["a.txt"]
    assert taken(product) == []
    assert os.listdir(remote) == []


def test_a_server_that_does_not_answer_holds_up_no_start(sqlite_product: Product, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://root@127.0.0.1:{silent.getsockname()[1]}{tmp_path}"
        product = sqlite_product.configure({"study": AT_ONCE, "away": route_to(url, tmp_path)})
        product.start("run")
        product.drop("a.txt", b"1")
        product.wait_for_state("a.txt", "done")
        assert product.delivered() == {"a.txt": b"1"}


def test_an_honest_server_is_delivered_to_by_the_service(
    sqlite_product: Product, tmp_path: Path, misbehave: Callable[..., Misbehaving]
) -> None:
    """Its workers are forked after the supervisor has looked: they share no connection with it, nor among them."""
    (remote := tmp_path / "remote").mkdir()
    product = sqlite_product.configure({"away": route_to(misbehave(Honest).url(remote), tmp_path)})
    product.start("run")
    names = [f"{number}.txt" for number in range(6)]
    for name in names:
        product.drop(name, name.encode(), route="away")
    for name in names[-2:]:
        product.wait_for_state(name, "done")
    wait_until(lambda: sorted(path.name for path in remote.iterdir() if path.is_file()) == names)


def test_the_supervisor_starts_no_thread_before_it_forks_its_workers(
    sqlite_product: Product, tmp_path: Path, misbehave: Callable[..., Misbehaving]
) -> None:
    """A lock of OpenSSL that a thread holds at the fork, as while it ends, stays locked in the child for ever."""
    (remote := tmp_path / "remote").mkdir()
    route = route_to(misbehave(Honest).url(remote), tmp_path) | {"after": "threads.after"}
    product = sqlite_product.configure({"away": route})
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "threads.py").write_text(NOTES_THREADS)
    supervisor = product.start("run", THREADS=str(tmp_path / "threads"))
    product.drop("a.txt", b"1", route="away")
    product.wait_for_state("a.txt", "done")
    started_by = {int(line) for line in (tmp_path / "threads").read_text().split()}
    assert started_by
    assert supervisor.pid not in started_by
