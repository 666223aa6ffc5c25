# mypy: disable-error-code="func-returns-value"
"""`purge` removes from done what is proved to be at every destination, and never the only copy of anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bags import make
from product import STUDY, Product, read_tree
from sshd import Sshd

PURGE = ("purge", "--older-than", "0s", "--yes")
Change = Callable[[Product, Path], object]


def to_server(server: Sshd, folder: Path) -> dict[str, Any]:
    return {"to": server.url(folder), "key": str(server.key), "known_hosts": str(server.known_hosts)}


def stays(product: Product) -> dict[str, list[str]]:
    """By arrival's name in done: what the events say that stays."""
    events = product.listing("events", "--kind", "purged")
    return {Path(e["data"]["from"]).name: e["data"].get("stays", {}).get("names", []) for e in events}


def bag(folder: Path) -> Path:
    """A bag with a consent form beside its payload, one that is empty as an item is, and litter."""
    made = make(folder)
    (made / "consent.pdf").write_bytes(b"%PDF signed")
    (made / "notes").mkdir()
    (made / "notes/empty").touch()
    (made / ".DS_Store").write_bytes(b"Finder")
    return made


def test_what_was_never_delivered_stays_and_is_named(product: Product) -> None:
    product.drop("clean", {"a": b"1", "sub/b": b"2", "hollow/": b""})
    product.drop("file.txt", b"3")
    product.drop(
        "mac", {"scan": b"4", ".DS_Store": b"Finder", "sub/._x": b"5", "@eaDir/x": b"6", "deep/er/y": b"7"}
    )
    product.drop_copy(bag(product.root / "source"), "bag")
    product.drain()
    done = product.folder("done")
    (done / "clean/added").write_bytes(b"1")  # the same bytes as an item have another name
    (done / "mac/sub/later").mkdir()
    before = read_tree(done, hidden=())
    said = product.run(*PURGE, "--dry-run").stdout
    assert "4 arrivals would be removed from done" in said and "11 entries" in said
    assert read_tree(done, hidden=()) == before
    said = product.run(*PURGE).stdout
    assert "4 arrivals removed from done" in said and "11 entries never delivered, so kept" in said
    tags = ["bag-info.txt", "bagit.txt", "consent.pdf", "manifest-sha256.txt", "notes/empty"]
    tags += ["tagmanifest-sha256.txt", ".DS_Store"]
    assert stays(product) == {
        "clean": ["added"],
        "file.txt": [],
        "mac": [".DS_Store", "@eaDir", "sub/._x"],
        "bag": tags,
    }
    left = [f"bag/{name}" for name in tags] + ["clean/added", "mac/.DS_Store", "mac/sub/._x", "mac/@eaDir/x"]
    assert read_tree(done, hidden=()) == {name: before[name] for name in sorted(left)}
    assert not (done / "mac/deep").exists() and not (done / "bag/data").exists()
    assert product.run(*PURGE).stdout.startswith("0 arrivals removed")


CHANGED: dict[str, Change] = {
    "changed in done": lambda product, done: (done / "a").write_bytes(b"X"),
    "replaced in done by a link": lambda product, done: ((done / "a").unlink(), (done / "a").symlink_to("b")),
    "changed at the destination": lambda product, done: (product.studies / "a").write_bytes(b"X"),
    "gone from the destination": lambda product, done: (product.studies / "a").unlink(),
    "replaced there by a link into done": lambda product, done: (
        (product.studies / "a").unlink(),
        (product.studies / "a").symlink_to(done / "a"),
    ),
    "replaced there by a folder": lambda product, done: (
        (product.studies / "a").unlink(),
        (product.studies / "a").mkdir(),
    ),
    "changed at the second destination": lambda product, done: (product.root / "second/a").write_bytes(b"X"),
    "gone from the second destination": lambda product, done: (product.root / "second/a").unlink(),
}


def test_an_arrival_stays_whole_when_an_item_of_it_is(
    sqlite_product: Product, shared_sshd: Sshd, subtests: pytest.Subtests
) -> None:
    product, second = sqlite_product, sqlite_product.root / "second"
    second.mkdir()
    deliver = [{"to": "./studies"}, to_server(shared_sshd, second)]
    product.configure({"study": STUDY | {"deliver": deliver}})
    product.drop("s", {"a": b"1", "b": b"2", ".DS_Store": b"Finder"})
    product.drain()
    done = product.folder("done") / "s"
    for what, change in CHANGED.items():
        with subtests.test(what):
            change(product, done)
            before = read_tree(product.folder("done"), hidden=())
            said = product.run(*PURGE, status=1)
            assert "1 kept" in said.stdout and "(s) is kept" in said.stderr
            assert "Traceback" not in said.stderr
            assert read_tree(product.folder("done"), hidden=()) == before
        for path in (done / "a", product.studies / "a", second / "a"):
            _mend(path)
    assert product.run(*PURGE).stdout.startswith("1 arrival removed")
    assert read_tree(product.folder("done"), hidden=()) == {"s/.DS_Store": b"Finder"}


def test_a_destination_that_leads_into_done_proves_nothing(sqlite_product: Product) -> None:
    product = sqlite_product
    product.drop("s", {"a": b"1"})
    product.drain()
    product.studies.rename(product.root / "moved")
    product.studies.symlink_to(product.folder("done") / "s")
    assert "the same file" in product.run(*PURGE, status=1).stderr
    assert read_tree(product.folder("done")) == {"s/a": b"1"}


def _mend(path: Path) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(b"1")


def test_an_unchanged_delivery_is_proved_by_what_is_stored_now(sqlite_product: Product) -> None:
    product = sqlite_product
    for name in ("first", "second"):
        product.drop(name, {"a": b"1"})
        product.drain()
    (product.studies / "a").write_bytes(b"edited")
    assert "2 kept" in product.run(*PURGE, status=1).stdout
    (product.studies / "a").write_bytes(b"1")
    assert product.run(*PURGE).stdout.startswith("2 arrivals removed")


def test_nothing_goes_while_a_destination_is_away(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    product, remote = sqlite_product, tmp_path / "remote"
    remote.mkdir()
    product.configure({"study": STUDY | {"deliver": [to_server(shared_sshd, remote)]}})
    product.drop("s", {"a": b"1"})
    product.drop_copy(bag(product.root / "source"), "bag")
    product.drain()
    remote.rename(tmp_path / "away")
    said = product.run(*PURGE, status=1)
    assert "2 kept" in said.stdout and "Traceback" not in said.stderr
    (tmp_path / "away").rename(remote)
    product.run(*PURGE)
    assert "bag/consent.pdf" in read_tree(product.folder("done"))
    assert not (product.folder("done") / "s").exists()
    assert not (product.folder("done") / "bag/data").exists()


def test_what_done_holds_besides_under_a_taken_name_is_emptied_too(sqlite_product: Product) -> None:
    product = sqlite_product
    for content in (b"1", b"2", b"3"):
        product.drop("s", {"a": content, ".DS_Store": content} if content == b"2" else {"a": content})
        product.drain()
    product.run(*PURGE)
    left = {str(path.relative_to(product.folder("done"))) for path in product.folder("done").rglob("*")}
    ids = {part for path in left for part in Path(path).parts} - {".again", "s", ".DS_Store"}
    assert len(ids) == 1, "only the one that holds something"
    assert os.listdir(product.folder("done")) == [".again"]


def test_an_original_belongs_to_the_newest_arrival_that_names_it(sqlite_product: Product) -> None:
    product = sqlite_product
    done = product.folder("done")
    for _ in range(3):
        product.drop("s", {"a": b"1", ".DS_Store": b"Finder"})
        product.drain()
        (done / "s").rename(product.root / "moved")
        (product.root / "moved").rename(product.folder("inbox") / "s")
        product.drain()
        dry = product.run(*PURGE, "--dry-run").stdout
        assert "1 arrival would be removed from done" in dry and "0 kept" in dry
        said = product.run(*PURGE)
        assert said.stdout.startswith("1 arrival removed from done (1 byte), 0 kept") and not said.stderr
        assert product.run(*PURGE).stdout.startswith("0 arrivals removed")
        (done / "s/.DS_Store").unlink()
        (done / "s").rmdir()
    assert len(product.listing("events", "--kind", "purged")) == 3


def test_an_original_that_somebody_took_away_was_not_purged(sqlite_product: Product) -> None:
    product = sqlite_product
    product.drop("s", {"a": b"1"})
    product.drain()
    (product.folder("done") / "s").rename(product.root / "away")
    (product.studies / "a").unlink()
    assert product.run(*PURGE).stdout.startswith("0 arrivals removed from done (0 bytes), 0 kept")
    assert product.listing("events", "--kind", "purged") == []
