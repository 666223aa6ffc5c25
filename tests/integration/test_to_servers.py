"""Routes that deliver to a server: the whole product against Debian's sshd."""

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mounts import Mounts
from product import Product
from sshd import Sshd, account_lines


def route_to(server: Sshd, folder: Path, inner: str = "", user: str = "root", **more: Any) -> dict[str, Any]:
    keys = {"key": str(server.key), "known_hosts": str(server.known_hosts)}
    to = {"to": server.url(folder, user) + inner, **keys, **more}
    return {"study": {"folders": "./study", "takes": "any", "name": r"(?P<who>[a-z]+).*", "deliver": [to]}}


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote"
    folder.mkdir()
    return folder


def visible(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file() and ".dropslot" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def test_a_route_delivers_to_a_server(product: Product, shared_sshd: Sshd, remote: Path) -> None:
    product.configure(route_to(shared_sshd, remote, "/{who}", create_folders=True))
    product.drop("clinic-1", {"a.pdf": b"first", "sub/b.pdf": b"b" * 400_000, "empty/": b""})
    product.drain()
    assert visible(remote) == {"clinic/a.pdf": b"first", "clinic/sub/b.pdf": b"b" * 400_000}
    assert (remote / "clinic/empty").is_dir()
    product.drop("clinic-2", {"a.pdf": b"second", "sub/b.pdf": b"b" * 400_000})
    product.drain()
    assert visible(remote) == {
        "clinic/a.pdf": b"first",
        "clinic/a.v2.pdf": b"second",
        "clinic/sub/b.pdf": b"b" * 400_000,
    }
    rows = {(row["name"], row["item"]): row for row in product.history()}
    assert rows["clinic-2", "a.pdf"]["stored_as"] == "a.v2.pdf"
    assert rows["clinic-2", "a.pdf"]["sha256"] == hashlib.sha256(b"second").hexdigest()
    assert rows["clinic-2", "sub/b.pdf"]["outcome"] == "unchanged"
    assert rows["clinic-1", "a.pdf"]["destination"] == shared_sshd.url(remote / "clinic")
    assert "OK" in product.run("verify", "--fixity").stdout
    (remote / "clinic/a.pdf").write_bytes(b"FIRST")
    assert "it was changed" in product.run("verify", "--fixity", status=1).stdout
    names = [p.name for p in (remote / "clinic/.dropslot/manifests").iterdir()]
    assert len(names) == 2
    assert not (remote / "clinic/.dropslot/stage").exists()
    checked = subprocess.run(
        ["sha256sum", "-c", f".dropslot/manifests/{max(names)}"], cwd=remote / "clinic", capture_output=True
    )
    assert checked.returncode == 0, checked.stderr


MEDDLES = """
from pathlib import Path
from dropslot.checks.base import Check

class Meddles(Check):
    def check_item(self, item):
        (source,) = Path(self.option).glob(f"*/{item.name}")
        if source.read_bytes() == b"bad":
            source.write_bytes(b"good")
        with item.open() as file:
            if file.read() != b"good":
                yield f"{item.name} is bad"
"""


def test_checks_read_the_source_of_what_goes_to_a_server(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path
) -> None:
    types = {"select": {"mime": ["text/plain"]}}
    sqlite_product.configure({"study": route_to(shared_sshd, remote)["study"] | types})
    sqlite_product.drop("good", {"a.txt": b"text", "sub/b.txt": b"more text\n" * 9000})
    sqlite_product.drop("bad", {"a.txt": b"text", "b.png": b"\x89PNG\r\n\x1a\n" + bytes(99)})
    sqlite_product.drain(status=1)
    assert visible(remote) == {"a.txt": b"text", "sub/b.txt": b"more text\n" * 9000}
    (refused,) = (row for row in sqlite_product.arrivals() if row["state"] == "failed")
    assert "b.png: its content is application" in refused["reason"][0]
    assert {row["mime"] for row in sqlite_product.history()} == {"text/plain"}


def test_a_source_that_is_made_good_while_it_is_checked_publishes_nothing_bad(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path
) -> None:
    (sqlite_product.root / "plugins").mkdir()
    (sqlite_product.root / "plugins/meddling.py").write_text(MEDDLES)
    checks = {"checks": [{"meddling.Meddles": str(sqlite_product.folder("processing"))}]}
    sqlite_product.configure({"study": route_to(shared_sshd, remote)["study"] | checks})
    sqlite_product.drop("a.txt", b"bad")
    sqlite_product.drain()
    assert visible(remote) == {"a.txt": b"good"}
    (row,) = sqlite_product.arrivals()
    assert (row["state"], row["attempts"]) == ("done", 2)


def test_the_receipt_says_what_the_server_proved(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path
) -> None:
    sqlite_product.configure(route_to(shared_sshd, remote, verify="read-back"))
    sqlite_product.drop("a.txt", b"1")
    sqlite_product.drain()
    arrival = sqlite_product.arrivals()[0]["id"]
    (sqlite_product.root / "receipts").mkdir()
    sqlite_product.run("receipt", arrival, "--out", sqlite_product.root / "receipts")
    body = json.loads(next((sqlite_product.root / "receipts").glob("*.json")).read_bytes())
    assert [line.partition(":")[0] for line in body["guarantees"]].count("destination") == 3
    assert any("read back" in line for line in body["guarantees"])


def test_a_folder_that_is_not_there_is_refused_unless_it_may_be_made(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path
) -> None:
    sqlite_product.configure(route_to(shared_sshd, remote, "/{who}"))
    sqlite_product.drop("nobody.txt", b"1")
    sqlite_product.drain(status=1)
    arrival = sqlite_product.arrivals()[0]
    assert arrival["state"] == "failed"
    assert "create_folders" in arrival["reason"][0]
    (remote / "nobody").mkdir()
    sqlite_product.run("retry", arrival["id"])
    sqlite_product.drain()
    assert visible(remote) == {"nobody/nobody.txt": b"1"}


def test_a_missing_fixed_folder_is_waited_for(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path
) -> None:
    sqlite_product.configure(route_to(shared_sshd, remote / "unmounted", create_folders=True))
    sqlite_product.drop("a.txt", b"1")
    sqlite_product.drain(status=None)
    arrival = sqlite_product.arrivals()[0]
    assert (arrival["state"], os.listdir(remote)) == ("retrying", [])
    assert "Mount its disk" in arrival["reason"][0]


def test_what_exceeds_a_quota_is_kept_and_delivered_when_that_is_raised(
    sqlite_product: Product, make_sshd: Callable[..., Sshd], mounts: Mounts
) -> None:
    home, person, data = mounts.with_quota("4M"), pwd.getpwnam("games"), os.urandom(6 << 20)
    os.chown(home, person.pw_uid, person.pw_gid)
    server = make_sshd(*account_lines("games", "ForceCommand internal-sftp"))
    sqlite_product.configure(route_to(server, home, user="games"))
    sqlite_product.drop("small.txt", b"1")
    sqlite_product.drop("large.bin", data)
    sqlite_product.drain(status=None)
    states = {arrival["name"]: arrival["state"] for arrival in sqlite_product.arrivals()}
    assert states == {"small.txt": "done", "large.bin": "retrying"}
    large = next(arrival for arrival in sqlite_product.arrivals() if arrival["name"] == "large.bin")
    assert "Raise the quota" in large["reason"][0]
    assert "is retried until it fits" in large["reason"][0]
    kept = next(path for path in sqlite_product.folder("processing").rglob("large.bin"))
    assert kept.read_bytes() == data
    assert visible(home) == {"small.txt": b"1"}
    mounts.set_quota(home, "40M")
    sqlite_product.run("retry", large["id"])
    sqlite_product.drain()
    assert visible(home) == {"small.txt": b"1", "large.bin": data}
    assert (home / "large.bin").stat().st_uid == person.pw_uid


@pytest.mark.parametrize("prepared", [True, False])
def test_a_group_that_the_account_may_not_give_is_said_before_anything_is_visible(
    sqlite_product: Product, make_sshd: Callable[..., Sshd], open_folder: Path, prepared: bool
) -> None:
    """Where root has prepared a setgid folder of that group, there is nothing left to set."""
    person, group = pwd.getpwnam("games"), grp.getgrnam("audio")
    remote = open_folder / "remote"
    remote.mkdir()
    os.chown(remote, person.pw_uid, group.gr_gid if prepared else person.pw_gid)
    remote.chmod(0o2750 if prepared else 0o750)
    server = make_sshd(*account_lines("games", "ForceCommand internal-sftp -u 0022"))
    modes: dict[str, Any] = {"group": "audio", "file_mode": 640, "folder_mode": 2750}
    sqlite_product.configure(route_to(server, remote, user="games", **modes))
    sqlite_product.drop("a.txt", b"1")
    sqlite_product.drain(status=0 if prepared else 1)
    assert visible(remote) == ({"a.txt": b"1"} if prepared else {})
    if prepared:
        seen = (remote / ".dropslot/manifests").stat()
        assert (seen.st_gid, seen.st_mode & 0o7777) == (group.gr_gid, 0o2750)


def test_an_unknown_server_is_refused_until_somebody_trusts_it(
    sqlite_product: Product, shared_sshd: Sshd, remote: Path, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    sqlite_product.configure(route_to(shared_sshd, remote, known_hosts=str(hosts)))
    sqlite_product.drop("a.txt", b"1")
    sqlite_product.drain(status=None)
    reason = sqlite_product.arrivals()[0]["reason"][0]
    shown = subprocess.run(
        ["ssh-keygen", "-lf", f"{shared_sshd.host_key}.pub"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert shown in reason
    command = reason.partition("dropslot trust_host ")[2].split()[0].rstrip(".")
    assert shown in sqlite_product.run("doctor", status=1).stdout
    asked = sqlite_product.run("trust_host", command, status=1)  # nobody is there to compare
    assert shown in asked.stdout
    assert not hosts.exists()
    sqlite_product.run("trust_host", command, "--yes")
    assert "already" in sqlite_product.run("trust_host", command).stdout
    assert hosts.read_text().count("\n") == 1
    assert "no file there can be replaced" in sqlite_product.run("doctor", status=None).stdout
    sqlite_product.wait_for_state("a.txt", "retrying")
    sqlite_product.run("doctor", status=None)


def test_a_changed_host_key_is_never_accepted(
    sqlite_product: Product, make_sshd: Callable[..., Sshd], remote: Path
) -> None:
    server = make_sshd()
    sqlite_product.configure(route_to(server, remote))
    before = server.known_hosts.read_text()
    server.stop()
    server.make_key(server.host_key)
    server.start()
    server.known_hosts.write_text(before)
    sqlite_product.drop("a.txt", b"1")
    sqlite_product.drain(status=None)
    arrival = sqlite_product.arrivals()[0]
    assert arrival["state"] == "retrying"
    assert arrival["reason"][0].count("SHA256:") == 2
    refused = sqlite_product.run("trust_host", server.url("/"), "--yes", status=1)
    assert "has changed" in refused.stderr
    assert server.known_hosts.read_text() == before
    assert visible(remote) == {}
