"""A series that comes in several arrivals: the verdict remembers what the earlier ones held, and counts only what is
there."""

from __future__ import annotations

from typing import Any

import pytest

from dicom.images import SERIES_UID, image, series
from dicom.test_import import events, route, the_series
from lanes import examples
from product import Product
from waiting import wait_until


def listed(product: Product) -> dict[str, Any]:
    (row,) = product.listing("series")
    return row


def drop_one_after_the_other(product: Product, *parts: dict[str, bytes]) -> None:
    for number, part in enumerate(parts, 1):
        product.drop(f"part{number}", part)
        product.drain()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ({"9.dcm": image(1, ImagesInAcquisition=4)[:-1000]}, "1 instance of other arrivals is damaged"),
        ({"9.dcm": image(1, ImagesInAcquisition=4, PatientID="P-18")}, "mixes 2 patients"),
        ({"9.dcm": image(1, ImagesInAcquisition=4, StudyInstanceUID="1.2.3")}, "mixes 2 studies"),
        ({"9.dcm": image(1, ImagesInAcquisition=9)}, "the headers state different numbers of images, 4, 9"),
        (
            {"9.dcm": image(1, ImagesInAcquisition=4, ImagePositionPatient=[0, 0, 99])},
            "1 distance between slices",
        ),
    ],
)
def test_what_was_wrong_before_stays_wrong(
    sqlite_product: Product, first: dict[str, bytes], why: str
) -> None:
    sqlite_product.configure(route())
    rest = series(4, ImagesInAcquisition=4)
    middle, last = {"2.dcm": rest["2.dcm"]}, {name: rest[name] for name in ("3.dcm", "4.dcm")}
    drop_one_after_the_other(sqlite_product, {**first, **middle}, last)
    row = listed(sqlite_product)
    assert row["verdict"] in {"INCOMPLETE", "UNKNOWN"}
    assert why in " ".join(row["evidence"])
    drop_one_after_the_other(sqlite_product, middle)  # known already
    assert listed(sqlite_product)["evidence"] == row["evidence"]


def test_a_damaged_instance_that_comes_again_whole_is_whole(sqlite_product: Product) -> None:
    sqlite_product.configure(route())
    whole = series(2, ImagesInAcquisition=2)
    drop_one_after_the_other(
        sqlite_product,
        {**whole, "2.dcm": whole["2.dcm"][:-1000]},
        {"2.dcm": whole["2.dcm"]},
        {"1.dcm": whole["1.dcm"]},
    )
    assert listed(sqlite_product)["verdict"] == "CONSISTENT"


def test_each_acquisition_may_come_by_itself(sqlite_product: Product) -> None:
    sqlite_product.configure(route())
    parts = [
        {
            f"{number}.dcm": image(number, ImagesInAcquisition=2, AcquisitionNumber=number // 3)
            for number in numbers
        }
        for numbers in ((1, 2), (3, 4))
    ]
    drop_one_after_the_other(sqlite_product, *parts)
    row = listed(sqlite_product)
    assert (row["verdict"], row["instances"], len(row["evidence"])) == ("CONSISTENT", 4, 2)


def test_an_arrival_that_is_refused_after_others_counted_it_is_not_counted(product: Product) -> None:
    product.configure(
        route(
            series={"require": "CONSISTENT", "wait": "1h"},
            deliver=[{"to": "./studies/{PatientID}/{StudyDescription}"}],
        )
    )
    whole = series(4, ImagesInAcquisition=4)
    hostile = image(2, ImagesInAcquisition=4, StudyDescription="../up")
    product.drop("hostile", {"1.dcm": whole["1.dcm"], "2.dcm": hostile})
    product.drain(status=None)
    product.drop("rest", {name: whole[name] for name in ("3.dcm", "4.dcm")})
    product.drain(status=None)
    product.drain(status=None)
    states = {one["name"]: one["state"] for one in product.arrivals()}
    assert states == {"hostile": "failed", "rest": "done"}
    assert (listed(product)["verdict"], listed(product)["instances"]) == ("INCOMPLETE", 2)


def test_an_arrival_that_is_held_is_counted_by_those_that_wait_for_it(product: Product) -> None:
    product.configure(route(series={"require": "CONSISTENT", "wait": "1h"}, release="manual"))
    whole = series(4, ImagesInAcquisition=4)
    product.drop("first", {name: whole[name] for name in ("1.dcm", "2.dcm")})
    product.drain(status=None)
    product.drop("second", {name: whole[name] for name in ("3.dcm", "4.dcm")})
    product.drain(status=None)
    assert {one["name"]: one["state"] for one in product.arrivals()} == {"first": "ready", "second": "ready"}
    product.run("start_queue", "--number", "2")
    product.drain()
    assert listed(product)["verdict"] == "CONSISTENT"
    assert not events(product, "series-incomplete")


@pytest.mark.crash
@pytest.mark.deep
def test_arrivals_of_one_series_that_are_recorded_at_once_count_each_other(product: Product) -> None:
    count = examples(25, 130)
    product.configure(route(), worker_count=4)
    whole = list(series(count, ImagesInAcquisition=count).items())
    for first in range(count - 1):  # names of its own in each, so that none waits for another
        product.drop(f"part{first}", {f"{first}/{name}": data for name, data in whole[first : first + 2]})
    product.start("run")
    wait_until(lambda: len(product.arrivals("--state", "done")) == count - 1, deadline_seconds=90, what="all")
    row = listed(product)
    assert (row["instances"], row["verdict"], row["series_uid"]) == (count, "CONSISTENT", SERIES_UID)
    assert sum(one["series"][0]["added"] for one in events(product, "images-recorded")) == count
    assert {one["state"] for one in product.arrivals()} == {"done"}
    assert not [one for one in product.arrivals() if one["attempts"] > 1]
    assert the_series(product)["verdict"] == "CONSISTENT"
