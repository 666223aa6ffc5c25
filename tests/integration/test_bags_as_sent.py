"""Bags through the whole product: what senders' tools write, to a local folder and to a server."""

from __future__ import annotations

import bagit

from bags import make
from product import STUDY, Product
from sshd import Sshd

ALGORITHMS = ("md5", "sha224", "sha384", "sha3_256", "blake2b", "blake2s")


def test_a_bag_in_any_algorithm_is_delivered_by_each_kind_of_destination(
    sqlite_product: Product, shared_sshd: Sshd
) -> None:
    product, remote = sqlite_product, sqlite_product.root / "remote"
    remote.mkdir()
    keys = {"key": str(shared_sshd.key), "known_hosts": str(shared_sshd.known_hosts)}
    deliver = [{"to": "./studies"}, {"to": shared_sshd.url(remote), **keys}]
    product.configure({"study": STUDY | {"deliver": deliver, "checks": ["bag"]}})
    folder = make(product.root / "bag", *ALGORITHMS)
    assert len(bagit.Bag(str(folder)).algorithms) == len(ALGORITHMS)
    (folder / "data/large").write_bytes(b"0123456789abcdef" * 400_000)
    bagit.Bag(str(folder)).save(manifests=True)
    product.drop_copy(folder, "all")
    for algorithm in ALGORITHMS:
        alone = make(product.root / algorithm, algorithm)
        (alone / "fetch.txt").write_text("https://example.org/a 5 data/a.txt\n")
        product.drop_copy(alone, f"alone-{algorithm}")
    product.drain()
    delivered = product.delivered()
    assert delivered["large"] == (remote / "large").read_bytes() == (folder / "data/large").read_bytes()
    assert [arrival["state"] for arrival in product.arrivals()] == ["done"] * 7
    assert set(delivered) == {"100%.txt", "a.txt", "empty", "large", "sub/b c.nii.gz", "sub/süb/é"}
