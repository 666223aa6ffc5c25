"""On a route that de-identifies, who only fetches sees nowhere what senders called an arrival."""

from __future__ import annotations

import re
from typing import Any

import pytest

from callers import API, Caller, token_of
from dropslot.arrivals.models import Delivery
from dropslot.config import from_mapping
from dropslot.dicom.deidentifying.config_keys import Deidentify
from dropslot.dicom.models import Patient, Series, Study
from imaging import record_images
from portals import Site, routes

NAME = "heart-Smithson"
PAGES = """\
/ /deliveries/ /arrivals/ /history/ /pending/ /unfetched/ /acknowledgments/ /patients/ /studies/ /series/
/find/?q={name} /find/?q=heart /arrivals/?search=heart /arrivals/{id}/ /arrivals/{id}/live/ /arrivals/{id}/items/
/arrivals/{id}/proof /home/study-runner/ /export/arrivals.csv /export/history.csv /export/series.csv /trail/
/deliveries/{delivery}/ /deliveries/{delivery}/proof /deliveries/{delivery}/proof.zip /series/{series}/"""
CALLS = """\
arrivals arrivals/{id} arrivals/{id}/events arrivals/{id}/receipt arrivals/{id}/deliveries deliveries
deliveries/{delivery} events receipts receipts/{id} acknowledgments pending uploads patients studies series
instances"""


@pytest.fixture
def hiding(site: Site, settings: Any) -> Site:
    wanted = routes(site.root)
    wanted["study"]["deliver"] = [{"to": str(site.root / "studies" / "{study}")}]
    whole = {"data": str(site.root / "var"), "portal": {}, "routes": wanted}
    settings.DROPSLOT = site.config = from_mapping(whole, site.root)
    site.drop("study", NAME, {"scan": b"a"})
    site.deliver()
    record_images(NAME, "P3XU6O755GYPL7BM")
    Patient.objects.update(patient_id="P3XU6O755GYPL7BM")
    Study.objects.update(accession_number="A1")
    hides = {"deidentify": Deidentify.model_validate({"profile": "basic"})}
    study = site.config.routes["study"].model_copy(update=hides)
    settings.DROPSLOT = site.config = site.config.model_copy(update={"routes": {"study": study}})
    return site


def _filled(address: str) -> str:
    delivery = Delivery.objects.get(arrival__name=NAME)
    series = Series.objects.get().pk
    return address.format(id=delivery.arrival_id, name=NAME, delivery=delivery.pk, series=series)


@pytest.mark.parametrize("page", PAGES.split())
def test_no_page_shows_it_to_a_study_runner(hiding: Site, page: str) -> None:
    assert "Smithson" not in _shown(hiding, "stella", _filled(page))


def _shown(site: Site, name: str, address: str) -> str:
    """The page, without what was typed into its search."""
    answer: Any = site.client(name).get(address, follow=True)
    content: bytes = b"".join(answer) if answer.streaming else answer.content
    return content.decode("utf-8", "replace").replace(f'value="{NAME}"', "").replace(f"={NAME}", "")


def test_no_link_leads_a_study_runner_to_a_page_that_is_not_there(hiding: Site) -> None:
    for page in ("/find/?q=scan", "/deliveries/", "/deliveries/{delivery}/", "/series/{series}/"):
        client = hiding.client("stella")
        links = set(re.findall(r'href="(/(?!static/)[^"#]+)"', _shown(hiding, "stella", _filled(page))))
        assert {link for link in links if client.get(link).status_code == 404} == set()


def test_who_sees_the_whole_route_sees_it(hiding: Site) -> None:
    for page in ("/arrivals/", "/history/", "/arrivals/{id}/", "/deliveries/{delivery}/"):
        assert "Smithson" in _shown(hiding, "olga", _filled(page))


def test_what_was_delivered_is_still_seen(hiding: Site) -> None:
    assert "scan" in _shown(hiding, "stella", "/deliveries/")
    assert "P3XU6O755GYPL7BM" in _shown(hiding, "stella", "/patients/")


@pytest.mark.parametrize("call", CALLS.split())
def test_no_call_shows_it_to_a_study_runner(hiding: Site, call: str) -> None:
    answer = Caller(hiding, token_of("stella", "read")).call("GET", f"{API}{_filled(call)}")
    assert "Smithson" not in answer.content.decode(), answer.status_code
