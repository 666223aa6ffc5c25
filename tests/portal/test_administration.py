"""Django's admin, and Django's own check of the settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from playwright.sync_api import Browser

from chromium import opened
from dropslot.access import tokens
from dropslot.access.models import Grant, Token
from dropslot.audit.models import Event
from portals import PASSWORD, Served, Site
from product import Product

READABLE = (
    "audit/event",
    "audit/receipt",
    "arrivals/arrival",
    "arrivals/delivery",
    "acknowledgments/acknowledgment",
)


def _rights(of: str) -> list[str]:
    events = Event.objects.filter(kind="rights-changed").values_list("data", flat=True)
    return [data["what"] for data in map(json.loads, events) if data["of"] == of]


@pytest.mark.parametrize("name", ["olga", "augusta", "sam", "rita", "stella", "nobody"])
def test_only_administrators_come_in(site: Site, name: str) -> None:
    user = User.objects.get(username=name)
    user.is_staff = user.is_superuser = True  # Django's own flags open nothing
    user.save()
    answer = site.client(name).get("/admin/", follow=True)
    assert answer.status_code == 403


def test_who_is_not_signed_in_is_led_to_the_portals_page(site: Site) -> None:
    answer = site.client("").get("/admin/auth/user/", follow=True)
    assert answer.redirect_chain[-1][0] == "/account/login/?next=%2Fadmin%2Fauth%2Fuser%2F"
    evil = site.client("").get("/admin/login/?next=//evil.example")
    assert evil["Location"].startswith("/account/login/?next=")  # which goes nowhere else


def _models(site: Site) -> list[str]:
    from dropslot.portal.administration import site as pages

    models = filter(pages.is_registered, apps.get_models())
    return [f"{model._meta.app_label}/{model._meta.model_name}" for model in models]


def test_an_administrator_opens_every_list(site: Site) -> None:
    site.drop("results", "north-1.pdf")
    site.deliver()
    models = _models(site)
    assert len(models) == 10
    for model in models:
        assert site.client("adam").get(f"/admin/{model}/").status_code == 200, model
        assert site.client("adam").get(f"/admin/{model}/?q=x").status_code == 200, model


def test_audit_tables_are_read_only(site: Site) -> None:
    site.drop("results", "north-1.pdf")
    site.deliver()
    client, models = site.client("adam"), [model for model in _models(site) if model.startswith("dropslot")]
    audit = [model for model in models if model.split("/")[1] in {path.split("/")[1] for path in READABLE}]
    assert len(audit) == len(READABLE)
    for model in audit:
        assert client.get(f"/admin/{model}/add/").status_code == 403, model
        assert client.post(f"/admin/{model}/1/delete/", {"post": "yes"}).status_code in (302, 403), model
    count = Event.objects.count()
    event = f"/admin/dropslot_audit/event/{Event.objects.first().seq}/change/"  # type: ignore[union-attr]
    assert client.get(event).status_code == 200
    assert client.post(event, {"kind": "forged"}).status_code == 403
    assert Event.objects.count() >= count and not Event.objects.filter(kind="forged").exists()


def test_roles_are_given_and_taken_by_the_same_rules(site: Site) -> None:
    client, sam = site.client("adam"), User.objects.get(username="sam")
    grants, empty = "/admin/dropslot_access/grant/", {"route": "", "folder": "", "field": "", "value": ""}
    refused = client.post(f"{grants}add/", {"user": sam.pk, "role": "recipient", **empty})
    assert "A recipient needs a folder" in refused.content.decode()
    refused = client.post(f"{grants}add/", {"user": sam.pk, "role": "sender", **empty, "route": "nowhere"})
    assert "no route nowhere" in refused.content.decode()
    client.post(f"{grants}add/", {"user": sam.pk, "role": "auditor", **empty, "route": "study"})
    grant = Grant.objects.get(user=sam, role="auditor")
    assert _rights("sam")[-1] == "role added: auditor, study"
    client.post(f"{grants}{grant.pk}/delete/", {"post": "yes"})
    assert not Grant.objects.filter(pk=grant.pk).exists()
    assert _rights("sam")[-1] == "role removed: auditor, study"


def test_the_last_administrator_stays(site: Site) -> None:
    grant = Grant.objects.get(user__username="adam")
    client = site.client("adam")
    assert client.post(f"/admin/dropslot_access/grant/{grant.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Grant.objects.filter(pk=grant.pk).exists()
    assert client.post(f"/admin/auth/user/{grant.user_id}/delete/", {"post": "yes"}).status_code == 403


def test_an_account_keeps_its_name_and_gets_no_rights_of_django(site: Site) -> None:
    sam = User.objects.get(username="sam")
    form = {"username": "olga2", "email": "sam@lab.example", "is_superuser": "on", "is_staff": "on"}
    site.client("adam").post(
        f"/admin/auth/user/{sam.pk}/change/", {**form, "first_name": "", "last_name": ""}
    )
    sam.refresh_from_db()
    assert (sam.username, sam.email, sam.is_superuser, sam.is_staff) == (
        "sam",
        "sam@lab.example",
        False,
        False,
    )
    assert _rights("sam")[-1] == "account changed: email"


def test_tokens_are_revoked_there_and_their_digest_is_not_shown(site: Site) -> None:
    token = tokens.make(User.objects.get(username="sam"), ["read"], 1).token
    client = site.client("adam")
    page = client.get(f"/admin/dropslot_access/token/{token.pk}/change/")
    assert page.status_code == 200 and token.digest not in page.content.decode()
    client.post("/admin/dropslot_access/token/", {"action": "revoke", "_selected_action": token.pk})
    assert Token.objects.get().revoked_at is not None


def test_its_pages_keep_the_content_security_policy(chromium: Browser, served: Served) -> None:
    served.account("adam", "administrator")
    served.start()
    with opened(chromium) as tab:
        tab.sign_in(served.url, "adam", PASSWORD)
        tab.page.get_by_role("button", name="Sign out").wait_for()
        for path in (
            "",
            "auth/user/",
            "auth/user/add/",
            "dropslot_access/grant/add/",
            "dropslot_lookup/folder/add/",
        ):
            answer = tab.page.goto(f"{served.url}/admin/{path}")
            assert answer is not None and answer.status == 200
            assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert tab.complaints == []


def test_djangos_check_of_a_deployment_has_nothing_to_say(product: Product) -> None:
    product.configure(portal={"url": "https://drop.lab.example"})
    product.run("adduser", "adam", "--role", "administrator")
    settings = {"DJANGO_SETTINGS_MODULE": "dropslot.portal_settings", "DROPSLOT_CONFIG": str(product.config)}
    checked = subprocess.run(
        [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"],
        env=product.environment | settings | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no issues" in checked.stdout
