"""The pages Users, Tokens and Your account."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.test import Client

from dropslot.access.models import Grant, Token
from dropslot.audit.models import Event
from portals import PASSWORD, Site


def _id(name: str) -> int:
    return User.objects.get(username=name).pk


def _rights(of: str) -> list[dict[str, Any]]:
    events = Event.objects.filter(kind="rights-changed").values_list("data", flat=True)
    return [data for data in map(json.loads, events) if data["of"] == of]


def _text(answer: Any) -> str:
    return str(answer.content.decode())


# Users


@pytest.mark.parametrize("name", ["olga", "augusta", "sam", "rita", "stella", "nobody"])
def test_only_administrators_open_users(site: Site, name: str) -> None:
    client = site.client(name)
    assert client.get("/users/").status_code == 403
    assert client.get("/users/new/").status_code == 403
    assert client.get(f"/users/{_id('sam')}/").status_code == 403
    for path in ("roles/", "link/", "deactivate/", "remove-factor/"):
        assert client.post(f"/users/{_id('sam')}/{path}", {"role": "administrator"}).status_code == 403
    assert Grant.objects.filter(role="administrator").count() == 1
    assert "Users" not in re.findall(r"nav-link[^>]*>([^<]+)<", _text(client.get("/tokens/")))


def test_nobody_who_is_not_signed_in_opens_users(site: Site) -> None:
    assert site.client("").get("/users/")["Location"].startswith("/account/login/")


def test_an_administrator_of_one_route_gives_no_roles(site: Site) -> None:
    site.account("eve", "administrator", routes=("study",))
    assert (
        site.client("eve").post(f"/users/{_id('eve')}/roles/", {"role": "administrator"}).status_code == 403
    )


def test_the_list_is_searched_by_name_and_role(site: Site) -> None:
    client = site.client("adam")
    assert all(
        name in _text(client.get("/users/"))
        for name in ("olga", "rita", "recipient of folder north, route results")
    )
    found = _text(client.get("/users/?q=oLg"))
    assert ">olga<" in found and ">rita<" not in found
    assert ">rita<" in _text(client.get("/users/?q=recipient"))
    assert "No account has" in _text(client.get("/users/?q=zzz"))


def test_many_accounts_are_cut_and_said_so(site: Site) -> None:
    User.objects.bulk_create(User(username=f"many{number:04}") for number in range(1200))
    page = _text(site.client("adam").get("/users/"))
    assert "These are the first 200 by name" in page
    assert ">many1199<" in _text(site.client("adam").get("/users/?q=many1199"))


def test_an_account_is_made_with_a_role_and_a_link(site: Site) -> None:
    form = {
        "name": "ines",
        "role": "recipient",
        "route": "results",
        "folder": "south",
        "study": "",
        "email": "",
    }
    page = _text(site.client("adam").post("/users/new/", form))
    assert "recipient of folder south, route results" in page and "The account ines is made." in page
    link = re.search(r'id="link">http://127.0.0.1:8070([^<]+)<', page)
    assert link is not None
    assert Client().get(link[1], follow=True).status_code == 200
    made = _rights("ines")[-1]
    assert made["by"] == "adam" and made["what"] == "account made; role added: recipient, results, south"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": "sam", "role": "sender"}, "There is an account of this name already"),
        ({"name": "<b>", "role": "sender"}, "Enter a valid username"),
        ({"name": "ines", "role": "recipient"}, "A recipient needs a folder"),
        ({"name": "ines", "role": "study-runner"}, "A study runner needs a study"),
        ({"name": "ines", "role": "boss"}, "not one of the available choices"),
        ({"name": "ines", "role": "sender", "route": "nowhere"}, "not one of the available choices"),
        ({"name": "", "role": "sender"}, "This field is required"),
    ],
)
def test_what_cannot_be_made_is_said_beside_the_form(site: Site, form: dict[str, str], words: str) -> None:
    assert words in _text(site.client("adam").post("/users/new/", form))
    assert not User.objects.filter(username="ines").exists()


@pytest.mark.parametrize(("role", "field"), [("recipient", "folder"), ("study-runner", "study")])
def test_what_a_role_needs_is_said_at_its_field(site: Site, role: str, field: str) -> None:
    form = {"name": "ines", "role": role}
    for path in ("/users/new/", f"/users/{_id('sam')}/roles/"):
        page = _text(site.client("adam").post(path, form))
        assert re.search(rf'id="id_{field}_error">A [a-z ]+ needs a {field}: write its name here', page)
        assert "--" not in re.sub(r"<!--|-->", "", page)


def test_no_role_is_chosen_beforehand(site: Site) -> None:
    page = _text(site.client("adam").get("/users/new/"))
    assert page.count('type="radio"') == 7 and "checked" not in page
    assert "Choose a role." in _text(site.client("adam").post("/users/new/", {"name": "ines"}))
    fields = page[page.index('for="id_route"') :]
    assert "may be empty" not in fields


def test_a_folder_that_nothing_knows_is_doubted(site: Site) -> None:
    (site.root / "clinics" / "south").mkdir()
    client, doubt = site.client("adam"), "No folder table has the folder"
    form = {"role": "recipient", "route": "results"}
    assert doubt not in _text(client.post("/users/new/", form | {"name": "ines", "folder": "south"}))
    assert f"{doubt} soth" in _text(client.post("/users/new/", form | {"name": "ida", "folder": "soth"}))
    roles = f"/users/{_id('sam')}/roles/"
    assert f"{doubt} ../s" in _text(client.post(roles, form | {"folder": "../studies"}, follow=True))


def test_roles_are_added_and_removed(site: Site) -> None:
    client = site.client("adam")
    page = f"/users/{_id('sam')}/"
    client.post(f"{page}roles/", {"role": "study-runner", "study": "site=b"})
    grant = Grant.objects.get(user__username="sam", role="study-runner")
    assert (grant.field, grant.value) == ("site", "b")
    assert "study runner of site b, all routes" in _text(client.get(page))
    assert "Remove a role of sam?" in _text(client.get(f"{page}roles/{grant.pk}/remove/"))
    assert Grant.objects.filter(pk=grant.pk).exists()
    client.post(f"{page}roles/{grant.pk}/remove/")
    assert not Grant.objects.filter(pk=grant.pk).exists()
    assert [event["what"] for event in _rights("sam")[-2:]] == [
        "role added: study-runner, all routes, site: b",
        "role removed: study-runner, all routes, site: b",
    ]


def test_a_role_of_somebody_else_is_not_removed_by_a_wrong_address(site: Site) -> None:
    grant = Grant.objects.get(user__username="olga")
    assert site.client("adam").post(f"/users/{_id('sam')}/roles/{grant.pk}/remove/").status_code == 404


def test_the_last_administrator_is_kept(site: Site) -> None:
    client, page = site.client("adam"), f"/users/{_id('adam')}/"
    grant = Grant.objects.get(user__username="adam")
    for path in (f"roles/{grant.pk}/remove/", "deactivate/"):
        assert "adam is the only administrator" in _text(client.post(page + path, follow=True))
    assert Grant.objects.filter(pk=grant.pk).exists() and User.objects.get(username="adam").is_active


def test_deactivated_and_active_again(site: Site) -> None:
    client, sam = site.client("adam"), site.client("sam")
    assert sam.get("/my-account/").status_code == 200
    page = f"/users/{_id('sam')}/"
    assert "Deactivate the account sam?" in _text(client.get(f"{page}deactivate/"))
    assert User.objects.get(username="sam").is_active
    assert "deactivated" in _text(client.post(f"{page}deactivate/", follow=True))
    assert sam.get("/my-account/").status_code == 302
    assert "Activate it first" in _text(client.post(f"{page}link/", follow=True))
    assert "active again" in _text(client.post(f"{page}activate/", follow=True))
    assert sam.get("/my-account/").status_code == 302


def test_signed_out_everywhere_by_an_administrator(site: Site) -> None:
    sam = site.client("sam")
    site.client("adam").post(f"/users/{_id('sam')}/sign-out/")
    assert sam.get("/my-account/").status_code == 302


def test_a_lost_second_factor_is_removed(site: Site) -> None:
    Authenticator.objects.create(user_id=_id("sam"), type=Authenticator.Type.TOTP, data={"secret": "x"})
    client, page = site.client("adam"), f"/users/{_id('sam')}/"
    assert "Remove a lost second factor" in _text(client.get(page))
    client.post(f"{page}remove-factor/")
    assert not Authenticator.objects.exists()
    assert _rights("sam")[-1]["what"] == "second factor removed"


def test_a_link_is_shown_once_and_is_an_event(site: Site) -> None:
    client, page = site.client("adam"), f"/users/{_id('sam')}/"
    assert "/password/reset/key/" in _text(client.post(f"{page}link/"))
    assert "/password/reset/key/" not in _text(client.get(page))
    assert _rights("sam")[-1]["what"] == "link made that sets the password"


@pytest.mark.parametrize("path", ["999999/", "1/unknown/"])
def test_what_does_not_exist_is_not_found(site: Site, path: str) -> None:
    assert site.client("adam").post(f"/users/{path}").status_code in (404, 405)


def test_folders_of_the_destinations_are_offered(site: Site) -> None:
    (site.root / "clinics" / 'no<rth"').mkdir()
    page = _text(site.client("adam").get("/users/new/"))
    assert '<option value="no&lt;rth&quot;">' in page


def test_a_hostile_folder_is_shown_as_text(site: Site) -> None:
    folder = "<script>alert(1)</script>"
    site.client("adam").post(f"/users/{_id('sam')}/roles/", {"role": "recipient", "folder": folder})
    page = _text(site.client("adam").get(f"/users/{_id('sam')}/"))
    assert folder not in page and "&lt;script&gt;alert(1)" in page


# Tokens


def test_a_token_is_shown_once(site: Site) -> None:
    client = site.client("sam")
    assert "You have no tokens" in _text(client.get("/tokens/"))
    page = _text(client.post("/tokens/", {"name": "nightly", "scopes": ["read", "upload"], "days": "30"}))
    shown = re.search(r'id="token">(ds_[^<]+)<', page)
    assert shown is not None and shown[1] not in _text(client.get("/tokens/"))
    token = Token.objects.get()
    assert token.scopes == ["read", "upload"] and token.user.username == "sam"
    assert "nightly" in _text(client.get("/tokens/"))
    assert "Revoke the token nightly?" in _text(client.get(f"/tokens/{token.pk}/revoke/"))
    assert "Revoke</a>" in _text(client.get("/tokens/"))
    client.post(f"/tokens/{token.pk}/revoke/")
    assert "revoked" in _text(client.get("/tokens/"))


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "scopes": "read", "days": "1"},
        {"name": "x", "days": "1"},
        {"name": "x", "scopes": "all", "days": "1"},
        {"name": "x", "scopes": "read", "days": "0"},
        {"name": "x", "scopes": "read", "days": "9" * 30},
    ],
)
def test_a_token_that_cannot_be_is_not_made(site: Site, form: dict[str, str]) -> None:
    assert 'aria-invalid="true"' in _text(site.client("sam").post("/tokens/", form)) or not form.get("scopes")
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("rita", ["read"]),
        ("stella", ["read"]),
        ("augusta", ["read"]),
        ("nobody", ["read"]),
        ("sam", ["read", "upload"]),
        ("olga", ["read", "upload", "operate"]),
        ("adam", ["read", "upload", "operate"]),
    ],
)
def test_only_scopes_that_a_role_can_use_are_offered_and_made(
    site: Site, name: str, offered: list[str]
) -> None:
    client = site.client(name)
    assert re.findall(r'name="scopes" value="(\w+)"', _text(client.get("/tokens/"))) == offered
    for scope in ("read", "upload", "operate"):
        page = _text(client.post("/tokens/", {"name": "forged", "scopes": ["read", scope], "days": "1"}))
        assert ('id="token"' in page) == (scope in offered)
    made = {scope for token in Token.objects.all() for scope in token.scopes}
    assert made == set(offered)


def test_nobody_sees_or_revokes_anothers_token(site: Site) -> None:
    site.client("sam").post("/tokens/", {"name": "nightly", "scopes": "read", "days": "1"})
    token = Token.objects.get()
    for name in ("adam", "olga", "nobody"):
        assert "You have no tokens" in _text(site.client(name).get("/tokens/"))
        assert site.client(name).post(f"/tokens/{token.pk}/revoke/").status_code == 404
    assert Token.objects.get().revoked_at is None


# Your account


def test_an_account_without_a_role_is_told_what_to_do(site: Site) -> None:
    assert "Ask an administrator" in _text(site.client("nobody").get("/my-account/"))


def test_the_account_says_its_roles_and_signs_out_everywhere(site: Site) -> None:
    client, elsewhere = site.client("rita"), Client()
    elsewhere.post("/account/login/", {"login": "rita", "password": PASSWORD})
    assert "recipient of folder north, route results" in _text(client.get("/my-account/"))
    client.post("/account/logout/")
    assert elsewhere.get("/my-account/").status_code == 302
