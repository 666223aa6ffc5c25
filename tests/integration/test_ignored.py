"""Litter of Finder, Explorer, Office and network storage: not delivered, not checked, kept and named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bags import make
from product import STUDY, Product

DIRTY = {
    "scan.pdf": b"%PDF-1.4",
    ".DS_Store": b"Finder",
    "sub/._scan.pdf": b"\x00\x05\x16\x07",
    "sub/Thumbs.db": b"Explorer",
    "sub/scan.pdf:Zone.Identifier": b"[ZoneTransfer]",
    "sub/Icon\r": b"",
    "sub/second.pdf": b"%PDF-1.5",
    "~$anna.docx": b"Anna",
    "@eaDir/scan.pdf@SynoEAStream": b"storage",
    "$RECYCLE.BIN/desktop.ini": b"bin",
}
NAMES = [
    "$RECYCLE.BIN",
    ".DS_Store",
    "@eaDir",
    "sub/._scan.pdf",
    "sub/Icon\\x0d",
    "sub/Thumbs.db",
    "sub/scan.pdf:Zone.Identifier",
    "~$anna.docx",
]


def test_litter_is_not_delivered_nor_checked_and_is_kept_and_named(product: Product) -> None:
    limits = {"patterns": ["*.pdf"], "mime": ["application/pdf"], "max_items": 2, "max_size": 16}
    product.configure({"study": STUDY | {"select": limits}})
    product.drop("s", DIRTY)
    assert "Ignored: 8 entries" in product.drain().stdout
    assert product.delivered() == {"scan.pdf": b"%PDF-1.4", "sub/second.pdf": b"%PDF-1.5"}
    assert sorted(os.listdir(product.studies)) == [".dropslot", "scan.pdf", "sub"]
    [arrival] = product.arrivals()
    assert (arrival["state"], arrival["items"], arrival["size_bytes"]) == ("done", 2, 16)
    assert (product.folder("done") / "s/~$anna.docx").read_bytes() == b"Anna"
    assert (product.folder("done") / "s/@eaDir/scan.pdf@SynoEAStream").exists()
    [event] = _delivered(product)
    assert event["data"]["ignored"]["count"] == 8
    assert sorted(event["data"]["ignored"]["names"]) == NAMES
    receipt = product.run("receipt", arrival["id"]).stdout
    assert '"ignored"' in receipt and '"~$anna.docx"' in receipt


def test_litter_at_the_top_of_an_inbox_is_no_arrival(sqlite_product: Product) -> None:
    product = sqlite_product
    for name in (".DS_Store", "._s", "Thumbs.db", "Desktop.ini", "Icon\r", "s.pdf:Zone.Identifier"):
        product.drop(name, b"x")
    for name in ("$RECYCLE.BIN", "System Volume Information", "@eaDir", ".Trash-1000", "lost+found"):
        product.drop(name, {"x": b"x"})
    product.drop("s", {"a": b"1"})
    product.drain()
    assert product.delivered() == {"a": b"1"}
    assert len(list(product.folder("inbox").iterdir())) == 11
    assert product.listing("pending") == []
    assert [arrival["name"] for arrival in product.arrivals()] == ["s"]


def test_a_list_of_ones_own_takes_the_place_of_the_usual_one(sqlite_product: Product) -> None:
    routes = {"own": ["*.BAK"], "none": []}
    product = sqlite_product.configure(
        {
            key: {"folders": f"./{key}", "ignore": ignore, "deliver": [{"to": f"./studies/{key}"}]}
            for key, ignore in routes.items()
        }
    )
    for key in routes:
        (product.studies / key).mkdir()
        product.drop("s", {"a": b"1", "old.bak": b"2", ".DS_Store": b"3"}, key)
    product.drain()
    everything = {"a": b"1", ".DS_Store": b"3", "old.bak": b"2"}
    wanted = {f"none/{name}": data for name, data in everything.items()}
    assert product.delivered() == wanted | {"own/a": b"1", "own/.DS_Store": b"3"}
    ignored = {event["data"].get("ignored", {}).get("count") for event in _delivered(product)}
    assert ignored == {1, None}


def _delivered(product: Product) -> list[dict[str, Any]]:
    return product.listing("events", "--kind", "delivered")


def test_a_link_with_the_name_of_litter_is_not_opened(sqlite_product: Product) -> None:
    product = sqlite_product
    aside = product.root / "s"
    aside.mkdir()
    (aside / "a").write_bytes(b"1")
    for name in ("._link", "Thumbs.db", "@eaDir"):
        (aside / name).symlink_to(product.root / "var")
    product.drop_copy(aside)
    product.drain()
    assert product.delivered() == {"a": b"1"}
    assert (product.folder("done") / "s/@eaDir").is_symlink()


def test_an_arrival_read_in_place_is_no_revision_when_finder_looked_at_it(sqlite_product: Product) -> None:
    product = sqlite_product.configure({"study": STUDY | {"leave_source": True}})
    folder = product.drop("s", {"a": b"1"})
    product.drain()
    product.drop_copy(bag_with(product.root / "bag", {".DS_Store": b"listed", "@eaDir/x": b"too"}, {}), "bag")
    product.drain()
    (folder / ".DS_Store").write_bytes(b"Finder")
    product.drain()
    assert [arrival["name"] for arrival in product.arrivals()] == ["s", "bag"]


def bag_with(folder: Path, listed: dict[str, bytes], unlisted: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in listed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    bag = make(folder)
    for name, data in unlisted.items():
        (bag / name).parent.mkdir(parents=True, exist_ok=True)
        (bag / name).write_bytes(data)
    return bag


def test_litter_that_a_bag_lists_is_payload_and_other_litter_is_not(sqlite_product: Product) -> None:
    product = sqlite_product
    bag = bag_with(
        product.root / "bag",
        {".DS_Store": b"listed", "@eaDir/x": b"listed too"},
        {
            "data/sub/.DS_Store": b"not",
            "data/@eaDir/y": b"not",
            ".DS_Store": b"not",
            "data/Thumbs.db": b"not",
        },
    )
    product.drop_copy(bag, "s")
    product.drain()
    delivered = product.delivered()
    assert delivered[".DS_Store"] == b"listed" and delivered["@eaDir/x"] == b"listed too"
    assert not {"sub/.DS_Store", "@eaDir/y", "Thumbs.db"} & set(delivered)
    [event] = _delivered(product)
    litter = [".DS_Store", "data/@eaDir/y", "data/Thumbs.db", "data/sub/.DS_Store"]
    assert sorted(event["data"]["ignored"]["names"]) == litter
    (bag / "data/new").write_bytes(b"unlisted data")
    product.drop_copy(bag, "s")
    product.drain(status=1)
    reasons = product.arrivals()[-1]["reason"]
    assert any("data/new" in reason for reason in reasons)
    assert not any("Thumbs.db" in reason for reason in reasons)


def test_what_is_published_in_part_is_finished_as_it_was_begun(sqlite_product: Product) -> None:
    """config.yaml may name other litter when the attempt is made again."""
    product = sqlite_product.configure({"study": STUDY | {"ignore": ["*.bak"]}})
    in_the_way = product.studies / ".dropslot/manifests"  # names can be given, and the manifest cannot
    in_the_way.parent.mkdir()
    in_the_way.touch()
    product.drop("s", {"a": b"1", "x.bak": b"2", ".DS_Store": b"3"})
    product.drain(status=None)
    product.configure({"study": STUDY | {"ignore": [".DS_Store"]}})
    in_the_way.unlink()
    product.run("retry", product.arrivals()[0]["id"])
    product.drain()
    assert product.delivered() == {"a": b"1", ".DS_Store": b"3"}
    [event] = _delivered(product)
    assert event["data"]["ignored"]["names"] == ["x.bak"]
    product.run("purge", "--older-than", "0s", "--yes")
    assert os.listdir(product.folder("done") / "s") == ["x.bak"]
