"""Messages by services that apprise speaks to, as real HTTP servers; and what must not be reached by them."""

from __future__ import annotations

import pytest

from dropslot.notify.channels import by_service
from dropslot.notify.channels.by_service import send
from dropslot.notify.channels.message import Message, NeverSent, NotSent
from dropslot.notify.channels.target import Target
from webhooks import Webhooks

PLAIN = Message("01ABC", "1 arrival failed", "heart-1: <!channel> @everyone", "<p>text</p>", "failure")
LOOPBACK = ["127.0.0.1"]


def test_a_webhook_gets_the_message_and_its_secret_is_the_environments(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(webhooks.address("/${HOOK_PATH}"))
    with pytest.raises(NotSent, match="the environment has no HOOK_PATH"):
        send(target, PLAIN, LOOPBACK)
    monkeypatch.setenv("HOOK_PATH", "ok")
    send(target, PLAIN, LOOPBACK)
    (taken,) = webhooks.taken
    assert (taken["title"], taken["type"]) == ("1 arrival failed", "failure")
    assert "heart-1" in taken["message"]
    assert "@everyone" not in taken["message"]
    assert "<!channel>" not in taken["message"]


def test_private_addresses_are_not_reached_unless_allowed(webhooks: Webhooks) -> None:
    with pytest.raises(NeverSent, match="leads to"):
        send(Target(webhooks.address("/ok", "localhost")), PLAIN)
    with pytest.raises(NeverSent, match=r"leads to 127\.0\.0\.1, which is this machine or a private network"):
        send(Target(webhooks.address("/ok")), PLAIN, ["127.0.0.2", "10.0.0.0/8"])
    assert webhooks.asked == []
    send(Target(webhooks.address("/ok", "localhost")), PLAIN, ["localhost"])
    assert webhooks.asked == ["ok"]


def test_a_redirect_is_not_followed(webhooks: Webhooks) -> None:
    webhooks.leads_to = f"http://127.0.0.1:{webhooks.port}/ok"
    with pytest.raises(NotSent):
        send(Target(webhooks.address("/redirect")), PLAIN, LOOPBACK)
    assert webhooks.asked == ["redirect"]


def test_what_may_heal_is_tried_again_and_what_cannot_is_not(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotSent, match="error=500") as found:
        send(Target(webhooks.address("/500")), PLAIN, LOOPBACK)
    assert found.value.retryable
    with pytest.raises(NeverSent, match="error=404"):
        send(Target(webhooks.address("/404")), PLAIN, LOOPBACK)
    with pytest.raises(NeverSent, match="not an address that apprise understands"):
        send(Target("nosuch://a/b"), PLAIN)
    monkeypatch.setattr(by_service, "SECONDS", 3.0)
    with pytest.raises(NotSent, match="did not take the message within 3 s"):
        send(Target(webhooks.address("/never?rto=60")), PLAIN, LOOPBACK)


def test_an_address_of_several_channels_is_refused() -> None:
    one, two = (
        Target(f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/{to}") for to in ("#a", "#a/#b")
    )
    by_service.prove(one)
    for ask in (by_service.prove, lambda target: send(target, PLAIN)):
        with pytest.raises(NeverSent, match="one address for each channel") as found:
            ask(two)
        assert "TIiajk" not in str(found.value)


def test_no_token_is_in_an_error(monkeypatch: pytest.MonkeyPatch, webhooks: Webhooks) -> None:
    token = "T0K3N-of-our-own"
    monkeypatch.setenv("HOOK", webhooks.address(f"/404/{token}"))
    for target in (Target("${HOOK}"), Target(webhooks.address(f"/404/{token}"))):
        with pytest.raises(NotSent) as found:
            send(target, PLAIN, LOOPBACK)
        assert token not in str(found.value)
        assert token not in str(target)
