"""A lost database: its images come back with the arrivals, from the files that were delivered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dicom.images import image, series
from dicom.tables import image_rows, origins
from dicom.test_import import BY_TAGS
from losing import Losing
from nodes import Storescp
from product import STUDY, Product
from sshd import Sshd


@pytest.mark.sqlite_only
def test_images_of_a_lost_database_are_read_from_the_delivered_files(losing: Losing) -> None:
    product = losing.product.configure({"study": STUDY | BY_TAGS})
    losing.deliver("visit", {**series(2), "notes.txt": b"not an image"})
    losing.deliver("visit", series(3))
    losing.deliver("again", {"1.dcm": image(1, SeriesDescription="corrected")})
    before, came = image_rows(product), origins(product)
    assert [row["instance.version"] for row in before].count(2) == 1
    losing.lose()
    said = product.run("rebuild").stdout
    assert "Read again for the images in them: 3 arrivals" in said
    assert (image_rows(product), origins(product)) == (before, came)
    assert len(came) == 6  # three arrivals, each to one place
    assert "Read again" not in product.run("rebuild").stdout
    assert [one["data"]["count"] for one in product.listing("events", "--kind", "instances-changed")] == [1]


def test_images_at_a_server_are_read_from_there(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    to = {
        "to": shared_sshd.url(remote) + "/{PatientID}",
        "create_folders": True,
        "key": str(shared_sshd.key),
        "known_hosts": str(shared_sshd.known_hosts),
    }
    product = sqlite_product.configure({"study": STUDY | {"import": "dicom", "deliver": [to]}})
    losing = Losing(product)
    losing.deliver("visit", series(2))
    before = image_rows(product)
    assert len(before) == 2
    losing.lose()
    (product.folder("done") / "visit").rename(tmp_path / "away")
    product.run("rebuild")
    assert image_rows(product) == before


def test_an_archive_gives_nothing_back_so_images_are_read_from_done(
    sqlite_product: Product, make_storescp: Callable[..., Storescp]
) -> None:
    to = {"import": "dicom", "deliver": [{"to": make_storescp().to}]}
    routes = {key: STUDY | to | {"folders": f"./{key}"} for key in ("plain", "hidden")}
    product = sqlite_product.configure(
        {"plain": routes["plain"], "hidden": routes["hidden"] | {"deidentify": {"profile": "basic"}}}
    )
    product.drop("one", series(2), route="plain")
    product.drop("two", series(2), route="hidden")
    product.drain()
    before = image_rows(product)
    assert len(before) == 4
    Losing(product).lose()
    said = product.run("rebuild", status=1)
    assert "What two (" in said.stderr and "drop them again" in said.stderr
    assert image_rows(product) == [row for row in before if row["patient.route"] == "plain"]
    assert "rebuild" not in product.drain().stderr
