"""Who may see the originals of de-identified values by the API: one role, with its own scope, and no other."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import User

from callers import API, Caller, token_of
from dropslot.access.seen import access_of
from dropslot.arrivals.models import Arrival
from dropslot.audit.models import Event
from dropslot.dicom.deidentifying import mapping
from dropslot.dicom.deidentifying.config_keys import Deidentify
from dropslot.dicom.deidentifying.secret_key import SecretKey
from portals import Site

ADDRESS = f"{API}reidentify"


@pytest.fixture
def known(site: Site) -> Site:
    site.account("ira", "reidentifier")
    site.account("ida", "reidentifier", routes=("results",))
    site.drop("study", "s")
    site.deliver()
    arrival = Arrival.objects.get().id
    mapping.record(SecretKey(site.config.keys), "study", arrival, {("patient", "4711"): "PSEUDO1"})
    return site


def _asked(
    site: Site, name: str, *scopes: str, value: str = "PSEUDO1", reason: str = "finding"
) -> tuple[int, str]:
    answer = Caller(site, token_of(name, *scopes)).call(
        "POST", ADDRESS, {"values": [value], "reason": reason}
    )
    return answer.status_code, answer.content.decode()


def test_its_role_sees_the_original_and_the_trail_says_so(known: Site) -> None:
    status, text = _asked(known, "ira", "reidentify")
    assert status == 200 and json.loads(text)["items"][0]["original"] == "4711"
    event = Event.objects.get(kind="reidentified")
    assert json.loads(event.data) == {
        "by": "ira",
        "kind": "patient",
        "reason": "finding",
        "replacement": "PSEUDO1",
        "route": "study",
    }


@pytest.mark.parametrize("name", ["adam", "augusta", "olga", "sam", "nobody", "ida"])
def test_no_other_role_sees_it(known: Site, name: str) -> None:
    for scopes in (("reidentify",), ("read", "operate")):
        status, text = _asked(known, name, *scopes)
        assert status >= 400 and "4711" not in text
    assert not Event.objects.filter(kind="reidentified").exists()


def test_without_reason_or_scope_or_with_an_unknown_value_nothing_is_shown(known: Site) -> None:
    assert _asked(known, "ira", "reidentify", reason=" ")[0] == 422
    assert _asked(known, "ira", "read")[0] == 403
    status, text = _asked(known, "ira", "reidentify", value="4711")
    assert status == 409 and "4711" not in text
    assert not Event.objects.filter(kind="reidentified").exists()


def test_who_only_fetches_does_not_see_what_senders_called_an_arrival(site: Site) -> None:
    routes = site.config.routes
    hidden = routes["results"].model_copy(
        update={"deidentify": Deidentify.model_validate({"profile": "basic"})}
    )
    config = site.config.model_copy(update={"routes": {**routes, "results": hidden}})
    for name, shown in (("rita", "01J"), ("stella", "01J"), ("olga", "Smithson"), ("adam", "Smithson")):
        access = access_of(User.objects.get(username=name), config)
        assert (name, access.called("results", "01J", "Smithson")) == (name, shown)
        assert access.called("study", "01J", "Smithson") == "Smithson"
        row = {"route": "results", "arrival": "01J", "name": "Smithson", "archived_as": "/done/Smithson"}
        assert ("Smithson" in str(access.listed(row))) is (shown == "Smithson")
