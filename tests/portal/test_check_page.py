"""The technicians' check: uploads are flagged as audited with a note; the flag is undone by a further event."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from dropslot.arrivals.listings import uploads
from dropslot.arrivals.listings.queries import Filter
from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from portals import Site


@pytest.fixture
def sent(site: Site) -> list[Arrival]:
    for name in ("heart-1", "heart-2", "lung-1"):
        site.drop("study", name, {"scan": b"x"})
    site.deliver("sam")
    return list(Arrival.objects.order_by("name"))


def page(site: Site, name: str, query: str = "") -> str:
    answer = site.client(name).get(f"/check/{query}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def post(site: Site, name: str, **data: Any) -> Any:
    return site.client(name).post("/check/flag/", data)


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("olga", True),
        ("augusta", True),
        ("adam", True),
        ("sam", False),
        ("rita", False),
        ("stella", False),
        ("nobody", False),
    ],
)
def test_operators_auditors_and_administrators_check_and_nobody_else(
    site: Site, sent: list[Arrival], name: str, may: bool
) -> None:
    assert site.client(name).get("/check/").status_code == (200 if may else 404)
    assert post(site, name, id=sent[0].id).status_code == (302 if may else 404)
    assert Event.objects.filter(kind=Kind.UPLOAD_AUDITED).exists() is may


def test_uploads_are_flagged_with_a_note_and_leave_the_list(site: Site, sent: list[Arrival]) -> None:
    post(site, "olga", id=[sent[0].id, sent[1].id], note="looked at both")
    shown = page(site, "olga")
    assert "lung-1" in shown
    assert "heart-" not in shown
    audited = page(site, "augusta", "?show=audited")
    assert 'Audited by <span class="name">olga</span>' in audited
    assert "looked at both" in audited
    assert "lung-1" not in audited


def test_the_flag_is_undone_by_a_further_event(site: Site, sent: list[Arrival]) -> None:
    post(site, "olga", id=sent[0].id)
    post(site, "augusta", id=sent[0].id, note="the wrong one", do="withdraw")
    assert "heart-1" in page(site, "olga")
    kinds = list(Event.objects.filter(arrival=sent[0].id).order_by("seq").values_list("kind", flat=True))
    assert kinds[-2:] == [Kind.UPLOAD_AUDITED, Kind.AUDIT_WITHDRAWN]
    told = json.loads(Event.objects.get(kind=Kind.AUDIT_WITHDRAWN).data)
    assert (told["by"], told["note"]) == ("augusta", "the wrong one")
    [row] = [row for row in uploads.uploads(Filter()) if row["id"] == sent[0].id]
    assert row["audited_by"] is None


def test_what_was_undone_can_be_flagged_again(site: Site, sent: list[Arrival]) -> None:
    for do in ("flag", "withdraw", "flag"):
        post(site, "olga", id=sent[0].id, do=do)
    for audited, count in ((True, 1), (False, 2), (None, 3)):
        assert len(list(uploads.uploads(Filter(), audited=audited))) == count


def test_undoing_what_is_not_flagged_says_so(site: Site, sent: list[Arrival]) -> None:
    answer = site.client("olga").post("/check/flag/", {"id": sent[0].id, "do": "withdraw"}, follow=True)
    assert "is not recorded as audited" in answer.content.decode()
    assert not Event.objects.filter(kind=Kind.AUDIT_WITHDRAWN).exists()


def test_a_note_that_is_too_long_is_refused(site: Site, sent: list[Arrival]) -> None:
    answer = site.client("olga").post("/check/flag/", {"id": sent[0].id, "note": "x" * 1001}, follow=True)
    assert "at most 1000 characters" in answer.content.decode()
    assert not Event.objects.filter(kind=Kind.UPLOAD_AUDITED).exists()


def test_nothing_selected_says_so(site: Site, sent: list[Arrival]) -> None:
    assert "Select at least one" in site.client("olga").post("/check/flag/", follow=True).content.decode()


def test_an_upload_of_another_route_is_not_flagged(site: Site, sent: list[Arrival]) -> None:
    site.account("rolf", "auditor", routes=("results",))
    post(site, "rolf", id=sent[0].id)
    assert not Event.objects.filter(kind=Kind.UPLOAD_AUDITED).exists()
    assert "Everything is audited" in page(site, "rolf")


def test_filters_stay_after_flagging_and_lead_to_no_other_page(site: Site, sent: list[Arrival]) -> None:
    answer = post(site, "olga", id=sent[0].id, back="/check/?show=all&search=heart")
    assert answer.headers["Location"] == "/check/?show=all&search=heart"
    answer = post(site, "olga", id=sent[0].id, back="https://elsewhere.example/?x")
    assert answer.headers["Location"].startswith("/check/")


def test_search_and_pages_reach_every_upload(site: Site, sent: list[Arrival]) -> None:
    assert "lung-1" not in page(site, "olga", "?search=heart")
    values = {field.attname: getattr(sent[0], field.attname) for field in Arrival._meta.fields}
    Arrival.objects.bulk_create(
        Arrival(**values | {"id": f"0{n:025}", "name": f"old-{n}"}) for n in range(60)
    )
    first = page(site, "olga")
    [following] = [part.split('"')[0] for part in first.split('<a href="')[1:] if "Older uploads" in part]
    second = page(site, "olga", following)
    seen = {name for name in (f"old-{n}" for n in range(60)) if f">{name}<" in first + second}
    assert len(seen) == 60
    assert site.client("olga").get("/check/?after=nonsense'").status_code in (200, 404)


def test_an_empty_page_says_what_to_do(site: Site) -> None:
    assert "Everything is audited" in page(site, "olga")
    assert "No upload fits" in page(site, "olga", "?search=none")
