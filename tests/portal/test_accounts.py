"""Accounts by commands: made, listed, taken back; and the link that sets a password."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.contrib.auth.models import User
from django.test import Client

import portals
from dropslot.access import accounts, one_time_links, withdrawing
from dropslot.access.models import Grant
from dropslot.audit.models import Event
from portals import PASSWORD, Site
from product import Product

BOTH_DATABASES = True


def _rights(of: str) -> list[str]:
    events = Event.objects.filter(kind="rights-changed").values_list("data", flat=True)
    return [data["what"] for data in map(json.loads, events) if data["of"] == of]


# In this process, on both databases


@pytest.mark.sqlite_only
def test_an_account_with_a_password_needs_no_link(site: Site) -> None:
    made = accounts.add(site.config, accounts.Wanted("ines", ("sender",)), PASSWORD)
    assert made.is_new and not made.needs_password
    assert User.objects.get(username="ines").check_password(PASSWORD)


def test_more_roles_are_added_once(site: Site) -> None:
    for _ in range(2):
        accounts.add(site.config, accounts.Wanted("sam", ("operator",), ("study",)))
    assert [str(grant) for grant in Grant.objects.filter(user__username="sam").order_by("id")] == [
        "sender, all routes",
        "operator, study",
    ]
    assert _rights("sam").count("role added: operator, study") == 1


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (accounts.Wanted("ines", ("boss",)), "boss is not a role"),
        (accounts.Wanted("ines", ("recipient",)), "needs a folder"),
        (accounts.Wanted("ines", ("study-runner",)), "needs a study"),
        (accounts.Wanted("ines", ("sender",), ("nowhere",)), "no route nowhere"),
        (accounts.Wanted("in\x1bes", ("sender",)), "username"),
        (accounts.Wanted("", ("sender",)), "blank"),
        (accounts.Wanted("SAM", ("sender",)), "an account sam already"),
        (accounts.Wanted("ines", ("sender",), email="not an address"), "email"),
    ],
)
@pytest.mark.sqlite_only
def test_what_cannot_be_is_said_and_changes_nothing(site: Site, wanted: accounts.Wanted, words: str) -> None:
    before = Event.objects.count()
    with pytest.raises(accounts.BadAccount, match=words):
        accounts.add(site.config, wanted)
    assert not User.objects.filter(username=wanted.name).exists()
    assert Event.objects.count() == before


@pytest.mark.sqlite_only
def test_a_weak_password_is_refused(site: Site) -> None:
    with pytest.raises(accounts.BadAccount, match="too short"):
        accounts.add(site.config, accounts.Wanted("ines", ("sender",)), "short")
    assert accounts.find("ines") is None


def test_the_last_administrator_stays(site: Site) -> None:
    adam = User.objects.get(username="adam")
    with pytest.raises(withdrawing.LastAdministrator):
        withdrawing.deactivate(adam)
    with pytest.raises(withdrawing.LastAdministrator):
        withdrawing.take_away(list(adam.dropslot_grants.all()))
    site.account("eve", "administrator", routes=("study",))  # of one route: she gives no roles
    with pytest.raises(withdrawing.LastAdministrator):
        withdrawing.deactivate(adam)
    site.account("ada", "administrator")
    withdrawing.deactivate(adam)
    assert not User.objects.get(username="adam").is_active
    assert _rights("adam")[-1] == "account deactivated"


@pytest.mark.sqlite_only
def test_a_link_sets_a_password_once(site: Site) -> None:
    made = accounts.add(site.config, accounts.Wanted("ines", ("sender",)))
    path = one_time_links.link(made.user, site.config).removeprefix("http://127.0.0.1:8070")
    assert path.startswith("/account/password/reset/key/")
    client = Client()
    form = client.get(path, follow=True)
    assert '<strong class="name">ines</strong>' in form.content.decode()
    answer = client.post(form.redirect_chain[-1][0], {"password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302
    assert User.objects.get(username="ines").check_password(PASSWORD)
    again = Client().get(path, follow=True)
    assert "This link does not work any more" in again.content.decode()


def test_the_first_start_makes_the_administrator(site: Site) -> None:
    assert one_time_links.for_first_administrator(site.config) is None  # adam has a password
    Grant.objects.all().delete()
    first = one_time_links.for_first_administrator(site.config)
    assert first is not None
    assert User.objects.get(username="admin").dropslot_grants.get().role == "administrator"
    assert one_time_links.for_first_administrator(site.config) is not None  # anew, until it is used


@pytest.mark.sqlite_only
def test_the_first_start_gives_nobody_else_the_role(site: Site) -> None:
    Grant.objects.all().delete()
    User.objects.create_user("admin", password=PASSWORD)
    assert one_time_links.for_first_administrator(site.config) is None
    assert not Grant.objects.exists()


# As commands


@pytest.fixture
def installed(product: Product) -> Product:
    product.configure(
        {
            "results": {
                "folders": "./results",
                "deliver": [{"to": "./clinics/{folder}"}],
                "name": "(?P<folder>.+)",
            }
        },
        portal={"url": "https://drop.example"},
    )
    (product.root / "clinics").mkdir()
    return product


@pytest.mark.sqlite_only
def test_adduser_prints_a_link_if_there_is_no_password(installed: Product) -> None:
    ended = installed.run("adduser", "rita", "--role", "recipient", "--folder", "north", "--route", "results")
    assert "The account rita is new" in ended.stdout
    assert "recipient, results, north" in ended.stdout
    assert "https://drop.example/account/password/reset/key/" in ended.stdout


def test_users_are_listed_and_their_roles_taken_away(installed: Product, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    installed.run(
        "adduser", "ada", "--role", "administrator", "--role", "sender", "--password-file", str(file)
    )
    assert installed.run("users", "--json").objects == [
        {
            "name": "ada",
            "active": True,
            "roles": ["administrator, all routes", "sender, all routes"],
            "email": "",
            "last_signed_in_at": None,
        }
    ]
    installed.run("removeuser", "ada", "--role", "sender")
    assert installed.run("users", "--json").objects[0]["roles"] == ["administrator, all routes"]
    refused = installed.run("removeuser", "ada", status=1)
    assert "ada is the only administrator" in refused.stderr
    events = [
        one["data"] for one in installed.run("events", "--json").objects if one["kind"] == "rights-changed"
    ]
    assert [data["what"] for data in events] == [
        "account made; password set; role added: administrator, all routes; role added: sender, all routes",
        "role removed: sender, all routes",
    ]


@pytest.mark.sqlite_only
def test_manage_py_does_the_same(installed: Product) -> None:
    """As in every installation: manage.py lies beside config.yaml."""
    command = [sys.executable, str(Path(__file__).parents[2] / "manage.py")]
    environment = installed.environment | {"DROPSLOT_CONFIG": str(installed.config)}
    for arguments in (["adduser", "sam", "--role", "sender"], ["users", "--json"]):
        done = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert '"name": "sam"' in done.stdout


@pytest.mark.sqlite_only
def test_wrong_usage_is_said_with_status_2(installed: Product) -> None:
    assert "boss is not a role" in installed.run("adduser", "x", "--role", "boss", status=2).stderr
    assert "There is no account x" in installed.run("removeuser", "x", status=2).stderr
    assert (
        "There is no account x"
        in installed.run("addtoken", "x", "--scope", "read", "--days", "1", status=2).stderr
    )
    missing = installed.run("adduser", "x", "--role", "sender", "--password-file", "/nowhere", status=2)
    assert "/nowhere cannot be read" in missing.stderr


@pytest.mark.sqlite_only
def test_addtoken_prints_the_token_alone(installed: Product) -> None:
    installed.run("adduser", "sam", "--role", "sender")
    ended = installed.run("addtoken", "sam", "--scope", "read", "--scope", "upload", "--days", "30")
    assert ended.stdout.startswith("ds_") and len(ended.stdout.split()) == 1
    assert (
        "all is not a scope"
        in installed.run("addtoken", "sam", "--scope", "all", "--days", "1", status=2).stderr
    )


@pytest.mark.sqlite_only
def test_the_first_start_prints_a_link(make_product: Callable[..., Product], empty_database_url: str) -> None:
    served = portals.installed(make_product(empty_database_url, has_tables=False)).start()
    printed = (served.product.root / "portal.log").read_text()
    assert "Nobody is an administrator yet" in printed
    link = next(word for word in printed.split() if "/password/reset/key/" in word)
    assert link.startswith(served.url)
    with urlopen(link, timeout=30) as answer:
        assert b"Set a password" in answer.read()
