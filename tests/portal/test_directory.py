"""Signing in with the name and password of a directory: a real slapd."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("ldap", reason="the extra `ldap` is not installed")

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connections
from django.test import Client, RequestFactory

from dropslot.access import accounts, one_time_links, visit_trail, withdrawing
from dropslot.access.accounts import BadAccount
from dropslot.access.directory import backend, ldap_connection, people
from dropslot.access.directory.ldap_connection import DirectoryAway, auth_settings
from dropslot.access.directory_section import Ldap
from dropslot.access.models import DirectoryAccount, Grant
from dropslot.access.section import portal_of
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.portal import doctor
from portals import PASSWORD as LOCAL
from portals import Served, Site, routes
from slapd import PASSWORD, SERVICE_PASSWORD, Directory
from waiting import wait_until

BOTH_DATABASES = True
LOGIN = "/account/login/"


@pytest.fixture(autouse=True)
def _attempts_are_counted_anew() -> None:
    cache.clear()


def configure(site: Site, settings: Any, key: dict[str, Any], **portal: Any) -> Config:
    """Give the site a directory, as `portal_settings` does."""
    content = {"data": str(site.root / "var"), "portal": {"ldap": key, **portal}, "routes": routes(site.root)}
    config = from_mapping(content, site.root)
    settings.DROPSLOT = config
    local = [one for one in settings.AUTHENTICATION_BACKENDS if "directory" not in one]
    settings.AUTHENTICATION_BACKENDS = [*local, "dropslot.access.directory.backend.DirectoryBackend"]
    for name, value in auth_settings(_ldap(config)).items():
        setattr(settings, name, value)
    return config


def _ldap(config: Config) -> Ldap:
    portal = portal_of(config)
    assert portal is not None and portal.ldap is not None
    return portal.ldap


@pytest.fixture
def lab(site: Site, directory: Directory, settings: Any) -> Iterator[Directory]:
    configure(site, settings, directory.key)
    yield directory


def _sign_in(name: str, password: str = PASSWORD) -> tuple[Client, str]:
    client = Client()
    answer = client.post(LOGIN, {"login": name, "password": password})
    return client, answer.content.decode()


def _is_in(client: Client) -> bool:
    return bool(client.get("/my-account/").status_code == 200)


def _enters(name: str, password: str = PASSWORD) -> bool:
    return _is_in(_sign_in(name, password)[0])


def _roles(name: str) -> list[str]:
    return [str(grant) for grant in Grant.objects.filter(user__username=name).order_by("id")]


def _events(kind: str) -> list[dict[str, Any]]:
    visit_trail.trail().record()
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]


def test_the_first_sign_in_makes_an_account_with_the_roles_of_its_groups(lab: Directory) -> None:
    client, _ = _sign_in("hana")
    assert "operator, all routes" in client.get("/my-account/").content.decode()
    user = User.objects.get(username="hana")
    assert (user.email, user.has_usable_password()) == ("hana@lab.example", False)
    assert DirectoryAccount.objects.get(user=user).dn == f"uid=hana,{lab.people}"
    changes = [(event["by"], event["what"]) for event in _events("rights-changed") if event["of"] == "hana"]
    assert changes == [("ldap", "account made"), ("ldap", "role added: operator, all routes")]
    assert _events("signed-in")[-1]["how"] == "password of the directory"


@pytest.mark.sqlite_only
def test_the_sign_in_page_says_that_these_passwords_work(lab: Directory, site: Site, settings: Any) -> None:
    assert "your usual computer account" in Client().get(LOGIN).content.decode()
    settings.DROPSLOT = site.config
    assert "your usual computer account" not in Client().get(LOGIN).content.decode()


@pytest.mark.sqlite_only
def test_somebody_without_a_group_has_no_role(lab: Directory) -> None:
    assert "You have no role yet" in _sign_in("ole")[0].get("/my-account/").content.decode()


@pytest.mark.parametrize("password", ["wrong", "", " ", "*"])
@pytest.mark.sqlite_only
def test_a_wrong_password_makes_no_account(lab: Directory, password: str) -> None:
    assert not _enters("hana", password)
    assert not User.objects.filter(username="hana").exists()


@pytest.mark.parametrize("name", ["HANA", "Hana", " hana "])
@pytest.mark.sqlite_only
def test_every_spelling_is_the_same_account(lab: Directory, name: str) -> None:
    assert _enters("hana")
    assert _enters(name)
    assert User.objects.filter(username__iexact="hana").count() == 1


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "h*",
        "ha*a",
        "hana)(uid=*",
        "*)(objectClass=*",
        "hana)(&",
        "(|(uid=*))",
        "hana\\2a",
        "uid=hana",
        "hana,",
    ],
)
@pytest.mark.sqlite_only
def test_characters_of_filters_are_harmless(lab: Directory, name: str) -> None:
    _, page = _sign_in(name)
    assert "The name or the password is wrong." in page
    assert not DirectoryAccount.objects.exists()


@pytest.mark.sqlite_only
def test_a_person_whose_name_has_such_characters_gets_no_account(lab: Directory) -> None:
    lab.person("o(*)la")
    assert not _enters("o(*)la")  # no account can have this name
    assert not DirectoryAccount.objects.exists()


@pytest.mark.sqlite_only
def test_roles_follow_the_groups(lab: Directory, site: Site) -> None:
    assert _enters("hana")
    accounts.add(site.config, accounts.Wanted("hana", ("auditor",)))  # by an administrator
    lab.replace(f"cn=operators,{lab.groups}", "member", f"uid=ole,{lab.people}")
    assert _enters("hana") and _enters("ole")
    assert (_roles("hana"), _roles("ole")) == (["auditor, all routes"], ["operator, all routes"])
    assert _events("rights-changed")[-1]["by"] == "ldap"


@pytest.mark.sqlite_only
def test_a_role_of_a_group_may_be_bound(lab: Directory, site: Site, settings: Any) -> None:
    entry = {
        "group": f"cn=north,{lab.groups}",
        "role": "recipient",
        "routes": ["results"],
        "folders": ["north"],
    }
    lab.group("north", f"uid=ole,{lab.people}")
    configure(site, settings, lab.key | {"roles": [entry]})
    assert _enters("ole")
    assert _roles("ole") == ["recipient, results, north"]
    lab.remove(f"cn=north,{lab.groups}")
    assert _enters("ole")
    assert _roles("ole") == []


@pytest.mark.sqlite_only
def test_the_last_administrator_is_kept(lab: Directory, site: Site, settings: Any) -> None:
    roles = [{"group": f"cn=operators,{lab.groups}", "role": "administrator"}]
    configure(site, settings, lab.key | {"roles": roles})
    assert _enters("hana")
    withdrawing.deactivate(User.objects.get(username="adam"))
    lab.replace(f"cn=operators,{lab.groups}", "member", f"uid=ole,{lab.people}")
    assert _enters("hana")
    assert _roles("hana") == ["administrator, all routes"]


@pytest.mark.sqlite_only
def test_a_local_account_is_not_taken_over_by_its_name(lab: Directory) -> None:
    lab.person("adam")
    assert not _enters("adam", PASSWORD)
    assert not _enters("ADAM", PASSWORD)
    assert _enters("adam", LOCAL)
    assert not DirectoryAccount.objects.exists()


def test_an_account_that_is_made_meanwhile_is_not_taken_over(lab: Directory, site: Site) -> None:
    """Between the look for an account of this name and the making of one, an administrator makes it."""
    accounts.add(site.config, accounts.Wanted("ole", ("auditor",)))
    person = people.Person("ole", f"uid=ole,{lab.people}", "ole@lab.example")
    with pytest.raises(BadAccount, match="portal's own"):
        people._made(site.config, person, visit_trail.of_command())  # noqa: SLF001 - ours
    assert (User.objects.get(username="ole").email, DirectoryAccount.objects.count()) == ("", 0)


def test_two_first_sign_ins_at_once_make_one_account(lab: Directory) -> None:
    def enter(_: int) -> bool:
        try:
            return _enters("hana")
        finally:
            connections.close_all()  # this thread's

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(enter, range(4)))
    assert User.objects.filter(username="hana").count() == 1


@pytest.mark.sqlite_only
def test_somebody_who_left_the_directory_cannot_sign_in(lab: Directory) -> None:
    assert _enters("hana")
    lab.remove(f"uid=hana,{lab.people}")
    assert not _enters("hana")
    assert _events("sign-in-refused")[-1]["name"] == "hana"


@pytest.mark.sqlite_only
def test_nor_by_a_way_without_the_password(lab: Directory) -> None:
    from allauth.account.adapter import get_adapter
    from allauth.core.context import request_context

    assert _enters("hana")
    request = RequestFactory().post(LOGIN)
    request.session = Client().session
    more = {
        "email_verification": "none",
        "signal_kwargs": None,
        "email": None,
        "signup": False,
        "redirect_url": None,
    }
    with request_context(request):
        adapter = get_adapter(request)
        assert adapter.pre_login(request, User.objects.get(username="hana"), **more) is None
        lab.remove(f"uid=hana,{lab.people}")
        refused = adapter.pre_login(request, User.objects.get(username="hana"), **more)
    assert refused["Location"] == "/account/inactive/"
    assert _events("sign-in-refused")[-1]["why"] == "the directory does not have this account any more"


@pytest.mark.sqlite_only
def test_no_link_gives_a_password_besides_the_directory(lab: Directory, site: Site) -> None:
    assert _enters("hana")
    with pytest.raises(BadAccount, match="signs in with the password of the directory"):
        one_time_links.ask(User.objects.get(username="hana"), site.config, visit_trail.of_command())
    page = f"/users/{User.objects.get(username='hana').pk}/"
    shown = site.client("adam").post(f"{page}link/", follow=True).content.decode()
    assert "signs in with the password of the directory" in shown


@pytest.mark.sqlite_only
def test_more_roles_make_no_link_either(lab: Directory, site: Site) -> None:
    assert _enters("hana")
    made = accounts.add(site.config, accounts.Wanted("hana", ("auditor",)))
    assert not made.needs_password
    page = site.client("adam").get(f"/users/{made.user.pk}/").content.decode()
    assert "that of the directory" in page and "Make a link" not in page


@pytest.mark.sqlite_only
def test_a_deactivated_account_stays_out(lab: Directory) -> None:
    client, _ = _sign_in("hana")
    withdrawing.deactivate(User.objects.get(username="hana"))
    assert not _is_in(client)
    assert not _enters("hana")
    assert _events("sign-in-refused")[-1]["why"] == "the account is deactivated"


@pytest.mark.sqlite_only
def test_the_second_factor_by_role_holds(lab: Directory, site: Site, settings: Any) -> None:
    configure(site, settings, lab.key, second_factor=["operator"])
    client, _ = _sign_in("hana")
    assert client.get("/arrivals/")["Location"] == "/account/2fa/"


@pytest.mark.sqlite_only
def test_attempts_are_limited(lab: Directory) -> None:
    for _ in range(5):
        _sign_in("hana", "wrong")
    client, page = _sign_in("hana")
    assert "Too many" in page and not _is_in(client)


@pytest.mark.sqlite_only
def test_a_directory_that_is_away_is_told_and_local_accounts_sign_in(
    lab: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(backend.log, "error", lambda words, **_: said.append(words), raising=False)
    assert _enters("hana")
    lab.stop()
    _, page = _sign_in("hana")
    assert "The directory does not answer" in page
    assert _enters("sam", LOCAL)
    assert "cannot be used" in said[0] and "Accounts of the portal's own can sign in" in said[0]
    assert _events("sign-in-refused")[-1]["why"] == "the directory does not answer"
    # Which accounts are local does not show.
    assert all("The directory does not answer" in _sign_in(name, "wrong")[1] for name in ("sam", "unknown"))
    lab.start()
    assert _enters("hana")


@pytest.mark.sqlite_only
def test_a_directory_that_says_nothing_holds_the_page_for_seconds_only(
    site: Site, directory: Directory, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap_connection, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(site, settings, directory.key | {"server": f"ldap://127.0.0.1:{silent.getsockname()[1]}"})
        assert "The directory does not answer" in _sign_in("hana")[1]


@pytest.mark.sqlite_only
def test_the_password_of_the_search_is_told_if_it_is_wrong(
    lab: Directory, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDAP_SECRET", f"not {SERVICE_PASSWORD}")
    config = configure(site, settings, lab.key)
    assert "The directory does not answer" in _sign_in("hana")[1]
    *_, found, _ = doctor.examine(config)
    assert found.level == "error"
    assert "does not accept cn=dropslot" in found.what
    assert SERVICE_PASSWORD not in found.what


# Encryption


def _over(site: Site, directory: Directory, server: str) -> Ldap:
    key = directory.key | {"server": server, "certificates": str(directory.certificate)}
    content = {"data": str(site.root / "var"), "portal": {"ldap": key}, "routes": routes(site.root)}
    return _ldap(from_mapping(content, site.root))


@pytest.mark.sqlite_only
def test_ldaps(lab: Directory, site: Site, settings: Any) -> None:
    key = lab.key | {"server": f"ldaps://127.0.0.1:{lab.tls_port}", "certificates": str(lab.certificate)}
    configure(site, settings, key)
    assert _enters("hana")


@pytest.mark.sqlite_only
def test_starttls(lab: Directory, site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ldap, "is_loopback", False)
    configure(site, settings, lab.key | {"certificates": str(lab.certificate)})
    assert settings.AUTH_LDAP_START_TLS
    assert _enters("hana")


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.sqlite_only
def test_a_certificate_of_nobody_is_refused(
    lab: Directory, site: Site, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(Ldap, "is_loopback", False)
    found = _over(site, lab, f"{scheme}://127.0.0.1:{lab.tls_port if scheme == 'ldaps' else lab.port}")
    ldap_connection.prove(found)
    with pytest.raises(DirectoryAway):
        ldap_connection.prove(found.model_copy(update={"certificates": None}))
    with pytest.raises(DirectoryAway):  # the certificate is for another name
        ldap_connection.prove(
            found.model_copy(update={"server": found.server.replace("127.0.0.1", "localhost")})
        )


# Doctor, and the real process


@pytest.mark.sqlite_only
def test_doctor_finds_it_well(lab: Directory, site: Site, settings: Any) -> None:
    found = list(doctor.examine(configure(site, settings, lab.key)))
    assert [finding.level for finding in found] == ["ok", "ok"]


@pytest.mark.sqlite_only
def test_doctor_names_a_role_of_no_route(lab: Directory, site: Site, settings: Any) -> None:
    roles = [{"group": f"cn=operators,{lab.groups}", "role": "operator", "routes": ["nowhere"]}]
    config = configure(site, settings, lab.key | {"roles": roles})
    assert "config.yaml has no route nowhere" in next(iter(doctor.examine(config))).what
    assert _enters("hana")
    assert _roles("hana") == []


@pytest.mark.sqlite_only
def test_doctor_names_a_place_that_is_not_there(lab: Directory, site: Site, settings: Any) -> None:
    config = configure(site, settings, lab.key | {"users": "ou=nobody,dc=lab,dc=example"})
    assert "has no ou=nobody" in next(iter(doctor.examine(config))).what


@pytest.mark.sqlite_only
def test_in_the_portals_own_process(served: Served, directory: Directory) -> None:
    import requests

    text = served.product.config.read_text()
    portal = {"listen": f"127.0.0.1:{served.port}", "ldap": directory.key}
    served.product.config.write_text(f"{text[: text.index('portal:')]}portal: {json.dumps(portal)}\n")
    served.account("sam", "sender")
    served.start()
    for name, password, role in (("hana", PASSWORD, "operator"), ("sam", LOCAL, "sender")):
        with requests.Session() as session:
            session.get(served.url + LOGIN, timeout=20)
            form = {
                "login": name,
                "password": password,
                "csrfmiddlewaretoken": session.cookies["dropslot_csrf"],
            }
            session.post(served.url + LOGIN, form, timeout=20)
            assert f"{role}, all routes" in session.get(f"{served.url}/my-account/", timeout=20).text
    listed = {user["name"]: user["roles"] for user in served.product.listing("users")}
    assert listed["hana"] == ["operator, all routes"]
    wait_until(
        lambda: "signed-in" in {one["kind"] for one in served.product.listing("events")}, what="the event"
    )
