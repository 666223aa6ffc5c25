"""Logs behind SFTP, read from a real sshd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apache import Apache
from dropslot.acknowledgments.logs.log_sources import LogUnready, Source
from dropslot.acknowledgments.logs.marks import Mark
from dropslot.acknowledgments.logs.open_logs import source_of
from dropslot.acknowledgments.logs.rotation import parts
from dropslot.acknowledgments.section import logs_of
from dropslot.config import from_mapping
from product import Product
from rotating import rotate
from sshd import Sshd
from waiting import wait_until

PDF = b"%PDF-1.4 " + bytes(range(256)) * 800


def source(server: Sshd, path: Path, **keys: Any) -> Source:
    """The folder of a log at the server, with the server's own keys unless others are given."""
    own = {"key": str(server.key), "known_hosts": str(server.known_hosts)}
    entry = {"log": server.url(path), "match": "/{stored_name}", "users": {"*": "*"}, **own, **keys}
    route = {"folders": "./r", "deliver": [{"to": "./to"}], "acknowledge": [entry]}
    made = from_mapping({"routes": {"r": route}}, path.parent).routes["r"]
    return source_of(made, logs_of(made)[0])


def test_remote_log_is_read_from_an_offset_and_through_rotation(shared_sshd: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"one\ntwo\n")
    folder = source(shared_sshd, log)
    [part] = parts(folder, [], older=False).files
    with part.file:
        assert (part.file.size(), part.file.read(4, 100)) == (8, b"two\n")
        mark = Mark().moved(part.file, 8, skipping=False)
        log.rename(tmp_path / "access.log.1")
        assert part.file.read(0, 3) == b"one"  # as a file of this machine that is open
    subprocess.run(["gzip", str(tmp_path / "access.log.1")], check=True)
    log.write_bytes(b"three\n")
    found = parts(folder, [mark], older=False)
    assert [(part.name, part.known) for part in found.files] == [
        ("access.log.1.gz", True), ("access.log", False),
    ]  # fmt: skip
    assert found.files[0].file.read(4, 100) == b"two\n"
    found.close()


def test_long_log_is_read_whole(shared_sshd: Sshd, tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "access.log").write_bytes(content)
    with source(shared_sshd, tmp_path / "access.log").open("access.log") as file:
        whole = b"".join(file.read(at, 1 << 20) for at in range(0, 4 << 20, 1 << 20))
        assert whole == content
        assert file.read(len(content) - 5, 100) == content[-5:]
        assert file.read(len(content) + 5, 100) == b""


def test_log_that_is_not_there_is_told_apart(shared_sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source(shared_sshd, tmp_path / "none.log").open("none.log")
    with pytest.raises(FileNotFoundError):
        source(shared_sshd, tmp_path / "none" / "none.log").names()
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    for name in ("folder.log", "pipe.log"):
        with pytest.raises(LogUnready, match="is not a file"):
            source(shared_sshd, tmp_path / name).open(name)


def test_host_whose_key_is_unknown_is_refused_with_its_fingerprint(shared_sshd: Sshd, tmp_path: Path) -> None:
    with pytest.raises(LogUnready, match="SHA256:") as caught:
        source(shared_sshd, tmp_path / "x", known_hosts=str(tmp_path / "unknown")).names()
    assert f"dropslot trust_host sftp://root@127.0.0.1:{shared_sshd.port}/" in caught.value.next_step
    assert caught.value.retryable


def test_host_whose_key_has_changed_is_refused(shared_sshd: Sshd, tmp_path: Path) -> None:
    shared_sshd.make_key(tmp_path / "other")
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{shared_sshd.port} {(tmp_path / 'other.pub').read_text()}")
    with pytest.raises(LogUnready, match="has changed") as caught:
        source(shared_sshd, tmp_path / "x", known_hosts=str(changed)).names()
    assert "ssh-keygen -R" in caught.value.next_step


def test_key_that_may_not_log_in_is_told(shared_sshd: Sshd, tmp_path: Path) -> None:
    shared_sshd.make_key(tmp_path / "stranger")
    with pytest.raises(LogUnready, match="refuses the login") as caught:
        source(shared_sshd, tmp_path / "x", key=str(tmp_path / "stranger")).names()
    key = tmp_path / "stranger"
    assert (tmp_path / "stranger.pub").read_text().strip() in caught.value.next_step
    assert f"-i {key} -p {shared_sshd.port} " in caught.value.next_step
    key = tmp_path / "other"
    shared_sshd.make_key(key)
    key.with_suffix(".pub").unlink()
    with pytest.raises(LogUnready, match="refuses the login") as caught:
        source(shared_sshd, tmp_path / "x", key=str(key)).names()
    assert f"ssh-keygen -y -f {key}" in caught.value.next_step


@pytest.mark.parametrize(("request_", "words"), [("opendir", "cannot be listed"), ("open", "no permission")])
def test_what_the_account_may_not_do_is_told(
    make_sshd: Callable[..., Sshd], tmp_path: Path, request_: str, words: str
) -> None:
    server = make_sshd(sftp=f"internal-sftp -P {request_}")
    (tmp_path / "access.log").write_text("x\n")
    folder = source(server, tmp_path / "access.log")
    with pytest.raises(LogUnready, match=words):
        folder.names() if request_ == "opendir" else folder.open("access.log")


def test_connection_that_broke_is_told_and_made_anew(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd()
    (tmp_path / "access.log").write_text("x\n")
    folder = source(server, tmp_path / "access.log")
    with folder.open("access.log") as file:
        assert file.read(0, 9) == b"x\n"
        server.cut()
        with pytest.raises(LogUnready, match="broke") as caught:
            file.read(0, 9)
        assert caught.value.retryable
    assert folder.names() == ["access.log"]
    server.cut()
    with folder.open("access.log") as file:  # the kept connection is dead, and nobody has noticed
        assert file.read(0, 9) == b"x\n"


def test_server_that_is_away_is_told_and_tried_again(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd()
    folder = source(server, tmp_path / "x")
    server.stop()
    with pytest.raises(LogUnready, match="No connection") as caught:
        folder.names()
    assert caught.value.retryable
    server.start()
    assert "x" not in folder.names()


# From a delivery over SFTP to its acknowledgment, on two machines


def distributed(product: Product, server: Sshd, apache: Apache, **entry: Any) -> Product:
    """Results go to the web server's folders over SFTP; its log is read over SFTP with the same account."""
    to = {
        "to": server.url(apache.results) + "/{folder}",
        "key": str(server.key),
        "known_hosts": str(server.known_hosts),
        "manifest": "none",
        "file_mode": 644,
    }
    acknowledge = {
        "log": server.url(apache.full_log),
        "format": "dropslot",
        "match": "/results/{folder}/{stored_name}",
        "users": {"clinic12": "digawana", "clínica 7": "molepo"},
    }
    route = {
        "folders": "./results",
        "takes": "files",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [to],
        "acknowledge": [acknowledge | entry],
    }
    return product.configure({"results": route})


@pytest.mark.parametrize("how", ["compressed", "copied"])
def test_results_of_another_machine_are_known_to_be_fetched(
    product: Product, shared_sshd: Sshd, apache: Apache, tmp_path: Path, how: str
) -> None:
    distributed(product, shared_sshd, apache)
    for name in ("digawana-1.pdf", "digawana-2.pdf", "molepo-3.pdf", "molepo-4.pdf"):
        product.drop(name, PDF, "results")
    product.drain()
    assert apache.get("/results/digawana/digawana-1.pdf").content == PDF
    product.run("start_log_reader")
    apache.get("/results/digawana/digawana-2.pdf")  # not read before the rotation
    _rotate(apache, tmp_path, how)
    apache.get("/results/molepo/molepo-3.pdf", user="clínica 7")
    apache.get("/results/molepo/molepo-4.pdf", user="staff")
    product.run("start_log_reader")
    rows = {row["stored_as"]: row for row in product.history()}
    assert {name: row["acknowledged_by"] for name, row in rows.items()} == {
        "digawana-1.pdf": "clinic12", "digawana-2.pdf": "clinic12", "molepo-3.pdf": "clínica 7", "molepo-4.pdf": None,
    }  # fmt: skip
    assert all(row["acknowledged_at"].endswith("Z") for row in rows.values() if row["acknowledged_by"])
    [access] = product.listing("events", "--kind", "accessed")
    assert (access["data"]["user"], access["data"]["stored_as"]) == ("staff", "molepo-4.pdf")
    waiting = product.history("--unacknowledged", "--older-than", "0s")
    assert [row["stored_as"] for row in waiting] == ["molepo-4.pdf"]
    product.run("start_log_reader")
    assert len(product.listing("acknowledgments")) == 3
    assert "OK" in product.run("verify").stdout


def _rotate(apache: Apache, state_folder: Path, how: str) -> None:
    rotate(apache.full_log, state_folder, how, after="" if how == "copied" else apache.reload_command)
    if how == "copied":
        assert apache.full_log.with_name("full.log.1").exists()
    else:
        apache.wait_until_reopened()
        assert apache.full_log.with_name("full.log.1.gz").exists()


def test_service_keeps_its_connection_to_the_log_and_survives_its_loss(
    sqlite_product: Product, make_sshd: Callable[..., Sshd], apache: Apache
) -> None:
    server, product = make_sshd(), sqlite_product
    distributed(product, server, apache, every="100ms")
    product.drop("digawana-1.pdf", PDF, "results")
    product.drop("digawana-2.pdf", PDF, "results")
    product.drain()
    product.start("start_log_reader", "--follow")
    apache.get("/results/digawana/digawana-1.pdf")
    _wait_for(product, "digawana-1.pdf")
    assert (server.folder / "log").read_text().count("Accepted publickey") == 2  # drain, and the reader's one
    server.cut()
    apache.get("/results/digawana/digawana-2.pdf")
    _wait_for(product, "digawana-2.pdf")
    assert len(product.listing("acknowledgments")) == 2


def _wait_for(product: Product, name: str) -> None:
    def acknowledged() -> bool:
        return any(row["stored_as"] == name and row["acknowledged_by"] for row in product.history())

    wait_until(acknowledged, deadline_seconds=60, what=f"the fetch of {name}")
