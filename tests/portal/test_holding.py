"""Legal holds on an arrival's page, and the damaged files on the page *Verify*."""

from __future__ import annotations

import pytest

from browsing import Faults, SignedIn, findings_in_each_look
from dropslot.keeping.models import LegalHold
from payloads import body, events
from portals import Served, Site


@pytest.fixture
def filled(site: Site) -> Site:
    site.drop("results", "north-1.pdf", b"first")
    site.deliver("sam")
    return site


def test_an_operator_holds_and_releases_with_a_reason(filled: Site) -> None:
    row = filled.arrival("north-1.pdf")
    client = filled.client("olga")
    answer = client.post(f"/arrivals/{row.pk}/hold/", {"reason": " "}, follow=True)
    assert "Say why" in body(answer).decode() and not LegalHold.objects.exists()
    answer = client.post(f"/arrivals/{row.pk}/hold/", {"reason": "court <b>17</b>"}, follow=True)
    page = body(answer).decode()
    assert "court &lt;b&gt;17&lt;/b&gt;" in page and "Release it" in page
    assert "already" in body(client.post(f"/arrivals/{row.pk}/hold/", {"reason": "x"}, follow=True)).decode()
    assert "court" not in body(filled.client("sam").get(f"/arrivals/{row.pk}/")).decode()
    client.post(f"/arrivals/{row.pk}/hold/release/", {"reason": "over"})
    assert not LegalHold.objects.exists()
    (held,), (released,) = events("legal-hold"), events("legal-hold-released")
    assert (held["by"], released["by"], released["reason"]) == ("olga", "olga", "over")


def test_holding_in_a_browser(signed_in: SignedIn, served: Served, faults: Faults) -> None:
    (served.product.root / "results" / "inbox" / "north-1.pdf").write_bytes(b"first")
    served.product.run("drain", "--now")
    page = signed_in("operator")
    page.goto(f"/arrivals/{served.product.arrivals()[-1]['id']}/")
    page.get_by_text("Put it under a legal hold").click()
    page.get_by_label("Why must nothing of it be removed?").fill("court order 17")
    page.get_by_role("button", name="Hold").click()
    page.get_by_text("court order 17").first.wait_for()
    assert findings_in_each_look(page) == []
