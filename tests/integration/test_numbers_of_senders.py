"""Numbers and texts of senders: what no column or index holds hinders neither an arrival nor its neighbours."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from mounts import Mounts
from product import Product

SECOND = 1_000_000_000
TIMES = {
    "far": 9_999_999_999 * SECOND,
    "farther": 200_000_000_000 * SECOND + 5,
    "old": -1,
    "ntfs-zero": -11_644_473_600 * SECOND,
    "usual": 1_600_000_000 * SECOND + 123_456_789,
}


def test_times_beyond_64_bits_are_delivered_with_their_neighbours(product: Product, mounts: Mounts) -> None:
    place = mounts.tmpfs("8m")
    for each in ("inbox", "processing", "done", "failed", "out"):
        (place / each).mkdir()
    route = {
        "folders": str(place),
        "takes": "any",
        "deliver": [{"to": str(place / "out")}, {"to": "./studies"}],
    }
    product.configure({"study": route})
    for name, time in TIMES.items():
        dropped = place / "inbox" / name
        dropped.write_text(name)
        os.utime(dropped, ns=(time, time))
    folder = place / "inbox/folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/x").write_text("x")
    for inside in (folder / "sub/x", folder / "sub", folder):
        os.utime(inside, ns=(TIMES["farther"],) * 2)
    product.drain()
    assert {row["outcome"] for row in product.history()} == {"delivered"}
    for name, time in TIMES.items():
        assert (place / "out" / name).stat().st_mtime_ns == time  # tmpfs holds them all
        assert (product.studies / name).read_text() == name
    assert (place / "out/sub").stat().st_mtime_ns == TIMES["farther"]
    said = {row["item"]: row["modified_at"] for row in product.history()}
    assert said["usual"] == "2020-09-13T12:26:40.123456Z"
    assert said["old"] == "1969-12-31T23:59:59.999999Z"
    assert said["far"] == "2262-04-11T23:47:16.854775Z"
    assert said["ntfs-zero"] == "1677-09-21T00:12:43.145224Z"
    (arrival,) = [row["id"] for row in product.arrivals() if row["name"] == "folder"]
    (product.root / "receipts").mkdir()
    product.run("receipt", arrival, "--out", product.root / "receipts")
    body = json.loads(next((product.root / "receipts").glob("*.json")).read_bytes())
    assert [line for line in body["guarantees"] if line.startswith("times: 1 with another time")]
    (place / "done/far").rename(place / "inbox/far")
    product.drain()
    (again,) = [row["id"] for row in product.arrivals() if row["name"] == "far"][1:]
    assert {row["outcome"] for row in product.history() if row["arrival"] == again} == {"unchanged"}


def _deep(top: Path) -> str:
    """A path of about 3,300 random bytes, which PostgreSQL's index cannot hold."""
    parts = [secrets.token_hex(110) for _ in range(15)]
    at = os.open(top, os.O_RDONLY)
    for part in parts[:-1]:
        os.mkdir(part, dir_fd=at)
        below = os.open(part, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(parts[-1], os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)
    return "/".join(parts)


def test_a_path_that_no_index_holds_hinders_no_neighbour(product: Product, database_url: str) -> None:
    product.configure()
    inbox = product.folder("inbox")
    (inbox / "before").write_text("1")
    (inbox / "deep").mkdir()
    path = _deep(inbox / "deep")
    (inbox / "z-after").write_text("2")
    ended = product.drain(status=None)
    assert (product.studies / "before").exists()
    assert (product.studies / "z-after").exists()
    states = {row["name"]: row["state"] for row in product.arrivals()}
    if database_url == "sqlite":
        assert ended.status == 0
        assert (product.studies / path).exists()
    else:
        assert states == {"before": "done", "z-after": "done", "deep": "failed"}
        (reason,) = product.arrivals("--state", "failed")[0]["reason"]
        assert "very long path" in reason


def test_sparse_items_larger_together_than_any_number_are_refused(
    sqlite_product: Product, mounts: Mounts
) -> None:
    product = sqlite_product
    place = mounts.tmpfs("8m")
    for folder in ("inbox", "processing", "done", "failed"):
        (place / folder).mkdir()
    product.configure({"study": {"folders": str(place), "takes": "any", "deliver": [{"to": "./studies"}]}})
    (place / "inbox/big").mkdir()
    for name in ("a", "b", "c"):
        (place / "inbox/big" / name).touch()
        os.truncate(place / "inbox/big" / name, 2**63 - 4096)
    (place / "inbox/single").touch()
    os.truncate(place / "inbox/single", 2**63 - 4096)
    (place / "inbox/good").write_text("good")
    product.drain(status=1)
    assert {row["name"]: row["state"] for row in product.arrivals()} == {
        "big": "failed",
        "single": "failed",
        "good": "done",
    }


def test_names_of_any_length_and_kind_fit_into_every_column(product: Product) -> None:
    to = [{"to": "./studies"}]
    product.configure(
        {"study": {"folders": "./study", "takes": "any", "name": "(?P<location>.+)", "deliver": to}}
    )
    names = ["x" * 255, "\u00e4" * 127, "\\" * 255, "'" * 255, "%s{0}" * 50, "\U0001f600" * 63]
    for name in names:
        (product.folder("inbox") / name).write_text("1")
    product.drain()
    assert {path.name for path in product.studies.iterdir()} == {*names, ".dropslot"}
