"""Each role sees what it may, and nothing else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from dropslot.access.seen import Access, access_of
from dropslot.arrivals.models import Delivery, Place
from portals import Site

BOTH_DATABASES = True


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("study", "heart-1", {"scan": b"a"})
    site.drop("study", "lung-1", {"scan": b"b"})
    site.deliver("sam")
    site.drop("results", "north-1.pdf")
    site.drop("results", "northern-1.pdf")
    site.deliver("olga")
    return site


def _access(site: Site, name: str) -> Access:
    return access_of(User.objects.get(username=name), site.config)


@pytest.mark.parametrize(
    ("name", "arrivals"),
    [
        ("olga", {"heart-1", "lung-1", "north-1.pdf", "northern-1.pdf"}),
        ("augusta", {"heart-1", "lung-1", "north-1.pdf", "northern-1.pdf"}),
        ("sam", {"heart-1", "lung-1"}),
        ("rita", set()),
        ("stella", {"heart-1"}),
        ("nobody", set()),
    ],
)
def test_a_role_sees_its_arrivals(filled: Site, name: str, arrivals: set[str]) -> None:
    assert set(_access(filled, name).arrivals().values_list("name", flat=True)) == arrivals


@pytest.mark.parametrize(
    ("name", "items"),
    [
        ("olga", {"heart-1", "lung-1", "north-1.pdf", "northern-1.pdf"}),
        ("rita", {"north-1.pdf"}),
        ("stella", {"heart-1"}),
        ("sam", set()),
        ("nobody", set()),
    ],
)
def test_a_role_opens_its_deliveries(filled: Site, name: str, items: set[str]) -> None:
    assert set(_access(filled, name).payloads().values_list("arrival__name", flat=True)) == items


def test_a_folder_that_differs_in_the_case_of_letters_is_somebody_elses(site: Site) -> None:
    site.account("rosa", "recipient", routes=("results",), folders=("north",))
    (site.root / "clinics" / "North" / "x").mkdir(parents=True)
    for name in ("North-1.pdf", "north-1.pdf"):
        site.drop("results", name)
        site.deliver()
    inside = Place.objects.create(url=f"{site.root}/clinics/North/x")
    Delivery.objects.filter(arrival__name="North-1.pdf").update(place=inside)
    assert set(_access(site, "rosa").payloads().values_list("arrival__name", flat=True)) == {"north-1.pdf"}
