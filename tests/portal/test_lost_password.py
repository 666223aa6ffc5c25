"""A lost password: a link by mail, or an administrator."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from dropslot.access import accounts, one_time_links, visit_trail, withdrawing
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from portals import PASSWORD, Served, Site, routes
from postbox import Letter, Mailbox
from waiting import wait_until

LOST = "/account/password/reset/"
URL = "https://drop.lab.example"
NEW = "another horse and battery"


@pytest.fixture(autouse=True)
def _attempts_are_counted_anew() -> None:
    cache.clear()


@pytest.fixture
def box(make_mailbox: Callable[..., Mailbox]) -> Mailbox:
    return make_mailbox()


@pytest.fixture
def mailing(site: Site, box: Mailbox, settings: Any) -> Iterator[Site]:
    """A site with a mail server, at which sam has an address."""
    content = {"data": str(site.root / "var"), "portal": {"url": URL}, "mail": box.key}
    settings.DROPSLOT = from_mapping(content | {"routes": routes(site.root)}, site.root)
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    User.objects.filter(username="sam").update(email="Sam@lab.example")
    yield site


def _ask(email: str, client: Client | None = None, **more: Any) -> Any:
    return (client or Client()).post(LOST, {"email": email}, **more)


def _letter(box: Mailbox, number: int = 1) -> Letter:
    wait_until(lambda: len(box.letters) >= number, what="the mail")
    return box.letters[number - 1]


def _link(letter: Letter) -> str:
    """The path of the link in a mail."""
    found = re.search(rf"^{re.escape(URL)}(/\S+)$", letter.text, re.MULTILINE)
    assert found, letter.text
    return found[1]


def _set_password(client: Client, path: str, password: str = NEW) -> Any:
    form = client.get(path, follow=True)
    if not form.redirect_chain:
        return form
    return client.post(form.redirect_chain[-1][0], {"password1": password, "password2": password})


def _signs_in(name: str, password: str) -> bool:
    client = Client()
    client.post("/account/login/", {"login": name, "password": password})
    return bool(client.get("/my-account/").status_code == 200)


def _events(kind: str) -> list[dict[str, Any]]:
    visit_trail.trail().record()
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]


def test_from_the_request_to_the_new_password(mailing: Site, box: Mailbox) -> None:
    answer = _ask("sam@LAB.example")
    assert answer["Location"] == f"{LOST}done/"
    assert "a mail with a link is on its way" in Client().get(answer["Location"]).content.decode()
    letter = _letter(box)
    assert letter.to == ["Sam@lab.example"]  # as it is kept, not as it was typed
    assert letter.message["Subject"] == "dropslot: set a new password"
    assert "your account sam" in letter.text
    client = Client()
    _set_password(client, _link(letter))
    assert client.get("/my-account/").status_code == 200
    assert _signs_in("sam", NEW)
    assert not _signs_in("sam", PASSWORD)
    changes = [event["what"] for event in _events("rights-changed") if event["of"] == "sam"]
    assert changes[-2:] == ["link asked by mail that sets the password", "password set with a link"]
    changed = _letter(box, 2)
    assert (changed.message["Subject"], changed.to) == (
        "dropslot: your password was changed",
        ["Sam@lab.example"],
    )
    assert "From the address: 127.0.0.1" in changed.text


def test_a_link_works_once(mailing: Site, box: Mailbox) -> None:
    _ask("sam@lab.example")
    path = _link(_letter(box))
    _set_password(Client(), path)
    assert "does not work any more" in Client().get(path, follow=True).content.decode()
    assert _signs_in("sam", NEW)


def test_a_link_ends_after_a_day(mailing: Site, box: Mailbox, settings: Any) -> None:
    _ask("sam@lab.example")
    path = _link(_letter(box))
    assert settings.PASSWORD_RESET_TIMEOUT == one_time_links.HOURS * 3600
    settings.PASSWORD_RESET_TIMEOUT = -1  # every link is older than this
    assert "does not work any more" in Client().get(path, follow=True).content.decode()


def test_a_link_ends_when_the_address_changes(mailing: Site, box: Mailbox) -> None:
    _ask("sam@lab.example")
    path = _link(_letter(box))
    accounts.set_email(User.objects.get(username="sam"), "new@lab.example", visit_trail.of_command())
    assert "does not work any more" in Client().get(path, follow=True).content.decode()


def test_a_link_has_the_portals_own_address_whatever_the_request_says(mailing: Site, box: Mailbox) -> None:
    _ask("sam@lab.example", HTTP_X_FORWARDED_HOST="evil.example")  # of testserver, as the client says
    letter = _letter(box)
    assert _link(letter)
    assert "testserver" not in letter.text and "evil" not in letter.text
    assert _ask("sam@lab.example", HTTP_HOST="evil.example").status_code == 400


def test_whether_an_account_exists_shows_nowhere(mailing: Site, box: Mailbox) -> None:
    withdrawing.deactivate(User.objects.get(username="rita"))
    User.objects.filter(username="rita").update(email="rita@lab.example")

    def shown(email: str) -> tuple[int, str, str, str]:
        client = Client()
        asked = _ask(email, client)
        following = re.sub(r'"X-CSRFToken": "[^"]*"', "", client.get(asked["Location"]).content.decode())
        return asked.status_code, asked["Location"], asked.content.decode(), following

    first = shown("unknown@lab.example")
    assert shown("sam@lab.example") == first == shown("rita@lab.example")
    assert _letter(box).to == ["Sam@lab.example"]
    whys = [event["why"] for event in _events("sign-in-refused")]
    assert whys == ["a link was asked for an address of mail that leads to no account"] * 2


def test_one_address_of_two_accounts_gets_a_mail_for_each(mailing: Site, box: Mailbox) -> None:
    User.objects.filter(username="olga").update(email="sam@lab.example")
    _ask("sam@lab.example")
    _letter(box, 2)
    assert {"olga" in letter.text for letter in box.letters} == {True, False}


def test_a_new_account_sets_its_first_password(mailing: Site, box: Mailbox) -> None:
    made = accounts.add(mailing.config, accounts.Wanted("ines", ("sender",), email="ines@lab.example"))
    assert made.needs_password
    _ask("ines@lab.example")
    _set_password(Client(), _link(_letter(box)))
    assert _signs_in("ines", NEW)


def test_an_account_of_a_provider_gets_no_password(mailing: Site, box: Mailbox) -> None:
    made = accounts.add(mailing.config, accounts.Wanted("hana", ("sender",), email="hana@lab.example"))
    mailing.client("hana")  # has signed in
    _ask(made.user.email)
    _ask("sam@lab.example")
    assert _letter(box).to == ["Sam@lab.example"]


def test_requests_are_limited(mailing: Site, box: Mailbox) -> None:
    assert [_ask("sam@lab.example").status_code for _ in range(4)] == [302, 302, 302, 429]
    assert [_ask("unknown@lab.example").status_code for _ in range(4)] == [302, 302, 302, 429]
    _letter(box, 3)
    assert len(box.letters) == 3


def test_a_link_does_not_replace_the_second_factor(mailing: Site, box: Mailbox) -> None:
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    TOTP.activate(User.objects.get(username="sam"), generate_totp_secret())
    _ask("sam@lab.example")
    client = Client()
    answer = _set_password(client, _link(_letter(box)))
    assert "2fa" in answer["Location"]
    assert client.get("/my-account/").status_code == 302


def test_a_server_that_is_away_holds_no_page_and_is_told(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropslot.mail import posting, smtp

    said: list[str] = []
    monkeypatch.setattr(posting.log, "error", lambda words, **_: said.append(words), raising=False)
    monkeypatch.setattr(smtp, "SECONDS", 60)
    User.objects.filter(username="sam").update(email="sam@lab.example")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        key = {"server": f"smtp://127.0.0.1:{silent.getsockname()[1]}", "from": "a@lab.example"}
        content = {"data": str(site.root / "var"), "portal": {"url": URL}, "mail": key}
        settings.DROPSLOT = from_mapping(content | {"routes": routes(site.root)}, site.root)
        answers = [_ask(email).status_code for email in ("sam@lab.example", "unknown@lab.example")]
        assert (answers, said) == ([302, 302], [])  # while the server still says nothing
        silent.accept()[0].close()
        wait_until(lambda: said, what="the error in the log")
    assert "A mail was not sent" in said[0] and "ended the connection" in said[0]


def test_without_a_mail_server_an_administrator_makes_links(site: Site) -> None:
    page = Client().get(LOST).content.decode()
    assert "Ask an administrator of this portal for a link" in page
    assert "<form" not in page
    assert Client().post(LOST, {"email": "sam@lab.example"}).status_code == 405
    assert Client().get(f"{LOST}done/").status_code == 404


def test_an_administrator_sets_an_address(mailing: Site, box: Mailbox) -> None:
    sam = User.objects.get(username="sam")
    path = f"/users/{sam.pk}/address/"
    adam = mailing.client("adam")
    page = adam.post(path, {"email": "no address"}).content.decode()
    assert "valid email address" in page
    adam.post(path, {"email": "sam2@lab.example"})
    sam.refresh_from_db()
    assert sam.email == "sam2@lab.example"
    assert _letter(box).to == ["Sam@lab.example"]
    assert "another mail address" in box.letters[0].text
    event = _events("rights-changed")[-1]
    assert (event["by"], event["of"], event["what"]) == ("adam", "sam", "mail address set")
    adam.post(path, {"email": ""})
    assert _events("rights-changed")[-1]["what"] == "mail address removed"


def test_ones_own_address_needs_the_password(mailing: Site) -> None:
    client = mailing.client("sam")  # whose session began without a password
    assert 'value="Sam@lab.example"' in client.get("/my-account/").content.decode()
    answer = client.post("/my-account/address/", {"email": "mine@lab.example"})
    assert "reauthenticate" in answer["Location"]
    assert User.objects.get(username="sam").email == "Sam@lab.example"
    client.post(answer["Location"], {"password": PASSWORD}, follow=True)
    assert User.objects.get(username="sam").email == "mine@lab.example"
    assert _events("rights-changed")[-1]["what"] == "mail address set"


def test_a_command_gives_an_account_an_address(site: Site) -> None:
    accounts.add(site.config, accounts.Wanted("sam", ("sender",), email="sam@lab.example"))
    assert User.objects.get(username="sam").email == "sam@lab.example"
    assert _events("rights-changed")[-1]["what"] == "mail address set"


def test_in_the_portals_own_process(served: Served, box: Mailbox) -> None:
    with served.product.config.open("a") as stream:
        stream.write(f"mail: {json.dumps(box.key)}\n")
    served.account("sam", "sender", "--email", "sam@lab.example")
    served.start()
    with requests.Session() as session:
        page = session.get(served.url + LOST, timeout=60).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        form = {"email": "sam@lab.example", "csrfmiddlewaretoken": token[1]}
        assert "Look at your mail" in session.post(served.url + LOST, form, timeout=60).text
        link = re.search(rf"^{re.escape(served.url)}/\S+$", _letter(box).text, re.MULTILINE)
        assert link is not None
        assert "For the account" in session.get(link[0], timeout=60).text
    found = served.product.run("doctor", status=None).stdout
    assert f"{box.key['server']} takes mails from" in found


def test_without_the_servers_password_the_portal_says_what_is_missing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAIL_SECRET", raising=False)
    key = {"server": "smtps://dropslot@localhost", "from": "a@lab.example", "password": "MAIL_SECRET"}
    with served.product.config.open("a") as stream:
        stream.write(f"mail: {json.dumps(key)}\n")
    assert "the environment has no MAIL_SECRET" in served.product.run("portal", status=1).stderr
