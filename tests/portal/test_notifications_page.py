"""The page on which each person sets what to be told of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from browsing import SignedIn
from dropslot.audit.models import Event
from dropslot.notify.models import Message, Preference
from portals import Served, Site
from postbox import Mailbox
from waiting import wait_until

OWN = {"how": "own", "kinds": ["failed", "done"], "where": "mail", "digest": "weekly", "quiet": "22:00-07:00"}


def _saved(site: Site, who: str, **form: Any) -> Preference | None:
    site.client(who).post(reverse("dropslot:notifications"), form)
    return Preference.objects.filter(user__username=who).first()


def _page(site: Site, who: str) -> str:
    return site.client(who).get(reverse("dropslot:notifications")).content.decode()


def test_what_somebody_chooses_is_kept_and_recorded_without_the_address(site: Site) -> None:
    wish = _saved(site, "olga", **OWN | {"where": "address", "target": "slack://T0KENA/B/C"})
    assert wish is not None
    assert (wish.kinds, wish.digest, wish.quiet) == (["failed", "done"], "weekly", "22:00-07:00")
    assert wish.target == "slack://T0KENA/B/C"
    assert "T0KENA" not in _page(site, "olga")
    said = Event.objects.filter(kind="rights-changed").order_by("-seq").values_list("data", flat=True)[0]
    assert "notifications: failed, done; summary weekly; to slack://…" in str(said)
    # Without writing it again the address stays; with "nothing" nobody is told; with the default there is no row.
    again = _saved(site, "olga", **OWN | {"quiet": "", "where": "address", "target": ""})
    assert again is not None and again.target == "slack://T0KENA/B/C"
    nothing = _saved(site, "olga", how="nothing", where="mail")
    assert nothing is not None and (nothing.kinds, nothing.digest, nothing.target) == ([], "", "")
    assert _saved(site, "olga", how="default", where="mail") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet": "late"},
        {"where": "address"},
        {"where": "address", "target": "json://10.0.0.1/"},
        {"where": "address", "target": "mailto:somebody@else.example"},
        {"where": "address", "target": "slack://${DROPSLOT_SECRET}/b/c"},
        {"where": "address", "target": "discord://a/b/?template=/etc/passwd"},
        {"kinds": ["nonsense"]},
        {"routes": ["of-others"]},
    ],
)
def test_what_cannot_be_is_told_and_not_kept(site: Site, wrong: dict[str, Any]) -> None:
    assert _saved(site, "olga", **OWN | {"quiet": ""} | wrong) is None


def test_news_is_offered_only_to_those_whom_it_may_concern(site: Site) -> None:
    assert _saved(site, "olga", how="own", kinds=["trouble"], where="mail") is not None
    assert _saved(site, "rita", how="own", kinds=["trouble"], where="mail") is None
    assert _saved(site, "stella", how="own", kinds=["retrying"], where="mail") is None
    assert _saved(site, "stella", how="own", kinds=["space", "unacknowledged"], where="mail") is not None
    assert _saved(site, "sam", how="own", kinds=["space"], where="mail") is None


def test_a_test_message_is_listed_with_its_state(site: Site) -> None:
    User.objects.filter(username="olga").update(email="olga@lab.example")
    site.client("olga").post(reverse("dropslot:test-notification"))
    assert Message.objects.filter(recipient__user__username="olga").count() == 1
    assert "waits" in _page(site, "olga")
    assert "There were none yet" in _page(site, "sam")
    assert "This dropslot sends no messages" in _page(site, "sam")  # it has neither mail nor rules


def test_there_is_one_test_message_in_a_minute_at_most(site: Site) -> None:
    User.objects.filter(username="olga").update(email="olga@lab.example")
    address, olga = reverse("dropslot:test-notification"), site.client("olga")
    said = [olga.post(address, follow=True).content.decode() for _ in range(2)]
    assert ["Try again in a minute" in one for one in said] == [False, True]
    assert Message.objects.count() == 1
    Message.objects.update(made_at=timezone.now() - timedelta(seconds=61))
    olga.post(address)
    assert Message.objects.count() == 2


def test_a_test_message_from_the_page_arrives(
    signed_in: SignedIn, served: Served, make_mailbox: Callable[..., Mailbox]
) -> None:
    box = make_mailbox()
    with served.product.config.open("a") as stream:
        yaml.safe_dump({"mail": box.key}, stream)
    served.start("run")
    page = signed_in("operator", "--email", "olga@lab.example", name="olga")
    page.goto("/notifications/")
    page.get_by_role("button", name="Send a test message").click()
    (letter,) = wait_until(lambda: box.letters, what="the mail")
    assert (letter.to, letter.message["Subject"]) == (
        ["olga@lab.example"],
        "dropslot: This is a test: messages for you arrive here",
    )
    wait_until(lambda: page.reload() and page.get_by_text("sent", exact=True).count(), what="its state")
    page.get_by_label("What I choose here").check()
    page.get_by_label("To another address").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Write the address here, or choose mail.").wait_for()
