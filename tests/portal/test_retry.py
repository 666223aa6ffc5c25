"""Retry, bulk retry, retry under another name and giving up, from pages; each is recorded with the account."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from dropslot.arrivals.listings import failures
from dropslot.arrivals.models import Arrival
from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.core.states import State
from dropslot.portal.pages import retrying
from portals import Site

BOTH_DATABASES = True

OPERATORS = ("olga", "adam")
OTHERS = ("augusta", "sam", "stella", "rita", "nobody")


@pytest.fixture
def refused(site: Site) -> list[Arrival]:
    for number in (1, 2, 3):
        site.drop("results", f"north-{number}.exe")
    site.deliver("sam")
    return list(Arrival.objects.order_by("id"))


def post(site: Site, name: str, path: str, **data: Any) -> Any:
    return site.client(name).post(path, data)


def last(kind: Kind) -> dict[str, Any]:
    found = Event.objects.filter(kind=kind).order_by("-seq").first()
    assert found is not None
    data: dict[str, Any] = json.loads(found.data)
    return data


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_retries_and_the_event_names_the_account(
    site: Site, refused: list[Arrival], name: str
) -> None:
    answer = post(site, name, f"/arrivals/{refused[0].id}/retry/")
    assert answer.headers["Location"] == f"/arrivals/{refused[0].id}/"
    refused[0].refresh_from_db()
    assert refused[0].state == State.READY
    assert last(Kind.RETRY_ASKED)["by"] == name


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.sqlite_only
def test_nobody_else_retries_or_gives_up(site: Site, refused: list[Arrival], name: str) -> None:
    pk = refused[0].id
    for path, data in (
        (f"/arrivals/{pk}/retry/", {}),
        (f"/arrivals/{pk}/dismiss/", {"reason": "no"}),
        ("/arrivals/retry/", {"id": pk}),
        ("/arrivals/retry-reason/", {"reason": "x"}),
    ):
        assert post(site, name, path, **data).status_code == 404, path
    refused[0].refresh_from_db()
    assert refused[0].state == State.FAILED
    assert not Event.objects.filter(kind__in=(Kind.RETRY_ASKED, Kind.DISMISSED)).exists()


@pytest.mark.sqlite_only
def test_an_operator_of_another_route_retries_nothing(site: Site, refused: list[Arrival]) -> None:
    site.account("rolf", "operator", routes=("study",))
    assert post(site, "rolf", f"/arrivals/{refused[0].id}/retry/").status_code == 404
    shown = post(site, "rolf", "/arrivals/retry/", id=refused[0].id).content.decode()
    assert "There is no such arrival that you may retry" in shown
    assert Arrival.objects.filter(state=State.FAILED).count() == 3


@pytest.mark.sqlite_only
def test_nobody_who_is_not_signed_in_retries(site: Site, refused: list[Arrival]) -> None:
    assert "/account/login/" in post(site, "", "/arrivals/retry/", id=refused[0].id).headers["Location"]
    assert Arrival.objects.filter(state=State.FAILED).count() == 3


@pytest.mark.parametrize("path", ["/arrivals/retry/", "/arrivals/retry-reason/", "/check/flag/"])
@pytest.mark.sqlite_only
def test_an_action_needs_a_post_with_a_token(site: Site, path: str) -> None:
    assert site.client("olga").get(path).status_code in (404, 405)
    site.client("olga").handler.enforce_csrf_checks = True
    assert site.client("olga").post(path).status_code == 403


@pytest.mark.sqlite_only
def test_a_retry_under_another_name_runs_under_that_name(site: Site, refused: list[Arrival]) -> None:
    site.client("olga").post(f"/arrivals/{refused[0].id}/retry/", {"name": "north-1.pdf"})
    assert last(Kind.RENAMED) == {"by": "olga", "from": "north-1.exe", "to": "north-1.pdf"}
    site.deliver()
    refused[0].refresh_from_db()
    assert (refused[0].name, refused[0].state) == ("north-1.pdf", State.DONE)


@pytest.mark.parametrize("name", ["nobody.pdf", "a/b", "..", "x\ny.pdf", ".hidden"])
@pytest.mark.sqlite_only
def test_a_name_that_will_not_do_is_refused_with_the_reason(
    site: Site, refused: list[Arrival], name: str
) -> None:
    answer = site.client("olga").post(f"/arrivals/{refused[0].id}/retry/", {"name": name}, follow=True)
    assert "alert-danger" in answer.content.decode()
    refused[0].refresh_from_db()
    assert (refused[0].name, refused[0].state) == ("north-1.exe", State.FAILED)


@pytest.mark.sqlite_only
def test_giving_up_needs_a_reason_and_is_recorded(site: Site, refused: list[Arrival]) -> None:
    path = f"/arrivals/{refused[0].id}/dismiss/"
    post(site, "olga", path, reason=" ")
    assert not Event.objects.filter(kind=Kind.DISMISSED).exists()
    post(site, "olga", path, reason="sent by mistake")
    assert last(Kind.DISMISSED) == {"by": "olga", "reason": "sent by mistake"}
    answer = site.client("olga").post(f"/arrivals/{refused[0].id}/retry/", follow=True)
    assert "cannot be retried" in answer.content.decode()


def test_a_selection_says_what_became_of_each(site: Site, refused: list[Arrival]) -> None:
    site.drop("results", "north-4.pdf")
    site.deliver()
    post(site, "olga", f"/arrivals/{refused[2].id}/dismiss/", reason="no")
    ids = [refused[0].id, refused[1].id, refused[2].id, site.arrival("north-4.pdf").id, "<script>"]
    shown = html.unescape(post(site, "olga", "/arrivals/retry/", id=ids).content.decode())
    assert "2 arrivals are run again" in shown
    assert "3 could not be retried" in shown
    for text in ("is done, not failed", "Dismissed", "There is no such arrival"):
        assert text in shown, text


@pytest.mark.sqlite_only
def test_an_empty_selection_says_so(site: Site) -> None:
    answer = site.client("olga").post("/arrivals/retry/", follow=True)
    assert answer.redirect_chain == [("/arrivals/", 302)]
    assert "first tick the failed arrivals" in answer.content.decode()


def test_all_of_one_reason_are_retried_and_no_other(site: Site, refused: list[Arrival]) -> None:
    site.drop("study", "unfit", {"a": b"x"})
    site.deliver()
    groups = failures.groups(failures.failed(Arrival.objects.all()))
    assert [len(group.arrivals) for group in groups] == [3, 1]
    shown = post(site, "olga", "/arrivals/retry-reason/", reason=groups[0].key).content.decode()
    assert "3 arrivals are run again" in shown
    live = re.search(r'hx-get="(/arrivals/retried/[^"]+)"', shown)
    assert live
    site.deliver()
    ended = site.client("olga").get(html.unescape(live[1]), headers={"hx-request": "true"}).content.decode()
    assert ended.count(">Refused<") == 3  # for the same reason
    assert "hx-get" not in ended  # nothing more will change
    assert site.arrival("unfit").state == State.FAILED


@pytest.mark.sqlite_only
def test_what_is_too_much_for_one_request_is_left_with_a_button(
    site: Site, refused: list[Arrival], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "AT_ONCE", 2)
    shown = post(site, "olga", "/arrivals/retry/", id=[row.id for row in refused]).content.decode()
    assert "2 arrivals are run again" in shown
    assert "Retry the next ones" in shown
    assert refused[2].id in shown
    refused[2].refresh_from_db()
    assert refused[2].state == State.FAILED


def test_thousands_of_retries_stay_within_one_answer(site: Site, refused: list[Arrival]) -> None:
    row = refused[0]
    values = {field.attname: getattr(row, field.attname) for field in Arrival._meta.fields}
    Arrival.objects.bulk_create(Arrival(**values | {"id": f"0{n:025}", "name": f"n{n}"}) for n in range(300))
    ids = list(Arrival.objects.values_list("id", flat=True))
    assert (
        f"{len(ids)} arrivals are run again"
        in post(site, "olga", "/arrivals/retry/", id=ids).content.decode()
    )


@pytest.fixture
def held(site: Site, settings: Any) -> list[Arrival]:
    """Three that are held on the route `results`."""
    route = site.config.routes["results"].model_copy(update={"release": "manual"})
    config = site.config.model_copy(update={"routes": {**site.config.routes, "results": route}})
    settings.DROPSLOT = site.config = config
    for number in (1, 2, 3):
        site.drop("results", f"north-{number}.pdf", b"%PDF-1.4")
    site.deliver("sam")
    return list(Arrival.objects.order_by("id"))


@pytest.mark.sqlite_only
def test_an_operator_sends_held_arrivals_onward_and_nobody_else_does(site: Site, held: list[Arrival]) -> None:
    ids = [row.id for row in held]
    for name in OTHERS:
        assert post(site, name, f"/arrivals/{ids[0]}/release/").status_code == 404
        assert post(site, name, "/arrivals/release/", id=ids).status_code == 404
    assert Arrival.objects.filter(held_at__isnull=False).count() == 3
    page = site.client("olga").get(f"/arrivals/{ids[0]}/").content.decode()
    assert "Send onward" in page
    assert "<strong>Held.</strong>" in page
    assert "Send onward" not in site.client("sam").get(f"/arrivals/{ids[0]}/").content.decode()
    listed = site.client("olga").get("/arrivals/").content.decode()
    assert "Send selected onward" in listed
    assert listed.count(">Held<") == 3
    assert "Held" in site.client("sam").get("/pending/").content.decode()
    post(site, "olga", f"/arrivals/{ids[0]}/release/")
    assert last(Kind.RELEASED) == {"by": "olga"}
    post(site, "adam", "/arrivals/release/", id=ids[:2])
    site.deliver()
    assert [row.state for row in Arrival.objects.order_by("id")] == ["done", "done", "ready"]
    assert "sent onward" in site.client("sam").get(f"/arrivals/{ids[1]}/").content.decode()
