"""Routes that lie on FUSE file systems: inbox, archive and destination."""

from __future__ import annotations

from pathlib import Path

from mounts import Mounts
from product import Product
from sshd import Sshd


def _on(mounted: Path) -> dict[str, object]:
    for folder in ("inbox", "processing", "done", "failed", "out"):
        (mounted / folder).mkdir()
    return {"folders": str(mounted), "takes": "any", "deliver": [{"to": str(mounted / "out")}]}


def _drop(mounted: Path, content: bytes) -> None:
    (mounted / "inbox/visit/sub").mkdir(parents=True)
    (mounted / "inbox/visit/sub/b").write_bytes(b"b")
    (mounted / "inbox/visit/a.txt").write_bytes(content)


def test_whole_routes_on_bindfs_sshfs_and_ntfs(
    sqlite_product: Product, mounts: Mounts, shared_sshd: Sshd
) -> None:
    product = sqlite_product
    places = [mounts.bindfs(), mounts.sshfs(shared_sshd), mounts.ntfs_3g()]
    product.configure({f"r{number}": _on(place) for number, place in enumerate(places)})
    for content in (b"one", b"two"):
        for place in places:
            _drop(place, content)
        product.drain()
    for place in places:
        assert (place / "out/a.txt").read_bytes() == b"one"
        assert (place / "out/a.v2.txt").read_bytes() == b"two"
        assert (place / "out/sub/b").read_bytes() == b"b"
        assert (place / "done/visit/a.txt").read_bytes() == b"one"
        assert [path.read_bytes() for path in place.glob("done/.again/*/visit/a.txt")] == [b"two"]
        assert list((place / "inbox").iterdir()) == list((place / "processing").glob("[!.]*")) == []
        assert not (place / "out/.dropslot/stage").exists()
    outcomes = [row["outcome"] for row in product.history()]
    assert sorted(outcomes) == ["delivered"] * 9 + ["unchanged"] * 3
    product.run("verify", "--fixity")


def test_an_rclone_mount_is_no_destination_and_may_be_an_inbox(
    sqlite_product: Product, mounts: Mounts
) -> None:
    product, mounted = sqlite_product, mounts.rclone()
    route = _on(mounted)
    product.configure({"study": route})
    refused = product.run("drain", "--now", status=1).stderr
    assert str(mounted / "out") in refused
    assert "to: sftp://" in refused
    # What comes from its other side; what is written through it is not readable at once by itself.
    behind = mounted.with_name(mounted.name.replace("mount", "source"))
    _drop(behind, b"one")
    (behind / "inbox/single").write_bytes(b"file")
    product.configure({"study": route | {"deliver": [{"to": "./studies"}]}})
    product.drain()
    assert (product.studies / "a.txt").read_bytes() == b"one"
    assert (product.studies / "single").read_bytes() == b"file"
    archived = [*mounted.glob("done/*"), *mounted.glob("done/.again/*/*")]
    assert {"visit", "single"} <= {path.name for path in archived}
    assert list((mounted / "processing").glob("[!.]*")) == []
