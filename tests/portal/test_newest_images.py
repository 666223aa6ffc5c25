"""The newest images that match, by contributions: the same as when each image is looked at, without that look."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from dicom.images import image, series
from dropslot.access.seen import Access, access_of
from dropslot.config import from_mapping
from dropslot.dicom.listings.image_filters import Wanted, narrowed
from dropslot.dicom.listings.newest import newest_instances
from dropslot.dicom.models import Instance, Placement
from portals import Site, routes

BOTH_DATABASES = True
_TABLE = "dropslot_dicom_instance"
_MR = {"PatientID": "P-19", "StudyInstanceUID": "1.4", "Modality": "MR"}
_WANTED = (
    Wanted(),
    Wanted(search="1.4.9"),
    Wanted(search="p-19"),
    Wanted(search="nothing has this"),
    Wanted(uid="1.4"),
    Wanted(uid="1.4.9"),
    Wanted(modality="CT", route="dicom"),
    Wanted(verdict="UNKNOWN"),
    Wanted(patient="P-17"),
)
_PEOPLE = ("olga", "sam", "stella", "rita", "rolf", "ruth")


@pytest.fixture
def imaging(site: Site, settings: Any) -> Site:
    """Series that came in parts, in turns, with a changed image; each image has a folder for its number."""
    given = {
        "folders": str(site.root / "dicom"),
        "import": "dicom",
        "name": r"(?P<study>\w+)-(?P<sent>.+)",
        "deliver": [
            {"to": str(site.root / "clinics" / "{InstanceNumber}")},
            {"to": str(site.root / "plain")},
        ],
    }
    whole = {
        "data": str(site.root / "var"),
        "portal": {},
        "routes": routes(site.root) | {"dicom": given},
    }
    settings.DROPSLOT = site.config = from_mapping(whole, site.root)
    for folder in ("dicom/inbox", "dicom/processing", "dicom/done", "dicom/failed", "plain"):
        (site.root / folder).mkdir(parents=True)
    ct = series(9)
    for part, (sender, study) in enumerate((("sam", "heart"), ("olga", "lung"), ("sam", "lung"))):
        numbers = range(3 * part + 1, 3 * part + 4)
        site.drop("dicom", f"{study}-{part}", {f"{n}/{part}.dcm": ct[f"{n}.dcm"] for n in numbers})
        site.deliver(sender)
        mr = {f"{n}/m{part}.dcm": image(n, SeriesInstanceUID=f"1.4.{n % 2 + 1}", **_MR) for n in numbers}
        site.drop("dicom", f"heart-mr{part}", mr)
        site.deliver("olga")
    changed = image(2, PatientName="Other")
    site.drop("dicom", "heart-again", {"2/again.dcm": changed, "9/x.dcm": image(10, SOPInstanceUID="1.4.9")})
    site.deliver("sam")
    site.account("rolf", "recipient", routes=("dicom",), folders=("2",))
    site.account("ruth", "recipient", routes=("dicom",), folders=("plain",))
    return site


def _walk(access: Access, wanted: Wanted) -> list[int]:
    """All rows, a page of two after the other."""
    found, cursor = [], ""
    while True:
        page = newest_instances(access.instances, access.contributions(), wanted, cursor, 2)
        found += [row["id"] for row in page.items]
        if page.next is None:
            return found
        cursor = page.next


def _looked_at_each(access: Access, wanted: Wanted) -> list[int]:
    return list(narrowed(access.instances(Q()), wanted).order_by("-pk").values_list("pk", flat=True))


def test_each_account_finds_the_same_as_by_a_look_at_each_image(imaging: Site) -> None:
    assert Placement.objects.filter(is_whole=False).exists()
    seen = {}
    for name in _PEOPLE:
        access = access_of(User.objects.get(username=name), imaging.config)
        for wanted in _WANTED:
            with CaptureQueriesContext(connection) as queries:
                found = _walk(access, wanted)
            assert found == _looked_at_each(access, wanted), (name, wanted)
            # PostgreSQL reads tables of a few rows from end to end, whatever indexes they have.
            for query in queries.captured_queries if connection.vendor == "sqlite" else ():
                assert not _scans_of_images(query["sql"]), (name, wanted, query["sql"])
        seen[name] = len(_walk(access, Wanted()))
    count = Instance.objects.count()
    assert seen["olga"] == count == 20
    assert 0 < seen["rolf"] < seen["stella"] < count and seen["rita"] == 0


def _scans_of_images(sql: str) -> list[str]:
    """The steps of SQLite that read all images; a short name that other tables have as well is not looked at."""
    names = re.findall(r'"(dropslot_\w+)"(?: ([A-Z]\d+))?', sql)
    others = {name for table, name in names if table != _TABLE}
    images = {_TABLE, *(name for table, name in names if table == _TABLE)} - others
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        steps = [row[3] for row in cursor.fetchall()]
    return [step for step in steps if step.startswith("SCAN") and step.split()[1] in images]
