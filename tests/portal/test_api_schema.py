"""`openapi.json` is complete and true: schemathesis calls every operation with what it allows, and with more."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import strategies as st
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from callers import API, fill, token_of
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.api.authentication import WrongTokens
from dropslot.api.description import described, operations
from dropslot.arrivals.models import Arrival, Delivery
from lanes import examples
from portals import Site

DESCRIPTION = described(API)


def test_every_operation_is_described_for_people() -> None:
    for path, method, operation in operations(DESCRIPTION):
        where = f"{method} {path}"
        assert operation["description"].endswith("."), where
        assert operation["summary"], where
        assert operation["tags"], where
        assert {next(iter(way)) for way in operation["security"]} == {"Bearer", "Session"}, where
        for parameter in operation["parameters"]:
            assert parameter["description"], (where, parameter)
    names = [operation["operationId"] for _, _, operation in operations(DESCRIPTION)]
    assert len(set(names)) == len(names)
    assert {tag["name"] for tag in DESCRIPTION["tags"]} == {
        tag for _, _, operation in operations(DESCRIPTION) for tag in operation["tags"]
    }


def test_every_error_is_a_problem_with_an_example_that_fits() -> None:
    for path, method, operation in operations(DESCRIPTION):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"401", "403", "405", "429", "500", "503"} <= set(errors)
        assert ("404" in errors) == (
            ("{" in path or path.endswith("/receipts")) and "/dicomweb/" not in path
        ), path
        assert ("409" in errors) == (method != "get")
        for status, answer in errors.items():
            if status == "409" and "/dicomweb/" in path:
                continue  # each failed instance with its reason, as PS3.18 says
            (content_type,) = answer["content"]
            assert content_type == "application/problem+json"
            assert answer["content"][content_type]["example"]["status"] == int(status)


def test_a_body_of_another_type_or_with_an_unknown_key_is_refused(site: Site) -> None:
    headers = {"Authorization": f"Bearer {token_of('adam', 'read', 'upload', 'operate', 'reidentify')}"}
    taking = [path for path, _, operation in operations(DESCRIPTION) if _takes_json(operation)]
    assert len(taking) >= 4
    for path in taking:
        for body in (
            '"text"',
            "7",
            "true",
            "[]",
            '["reason"]',
            '{"nmae": "x", "reason": "x", "values": ["x"]}',
        ):
            answer = Client().post(
                path.replace("{id}", "x"), body, content_type="application/json", headers=headers
            )
            assert answer.status_code == 422, (path, body, answer.content)
            assert answer.json()["errors"], (path, body)


def _takes_json(operation: dict[str, Any]) -> bool:
    return "application/json" in operation.get("requestBody", {}).get("content", {})


def test_both_ways_to_sign_in_are_described() -> None:
    schemes = DESCRIPTION["components"]["securitySchemes"]
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["Session"]["in"], schemes["Session"]["name"]) == ("cookie", "dropslot_session")
    assert all(scheme["description"] for scheme in schemes.values())


def test_the_address_of_the_description_follows_the_prefix(site: Site) -> None:
    answer = Client().get(f"{API}openapi.json")
    assert answer.status_code == 200
    assert all(path.startswith(API) for path in answer.json()["paths"])


def test_the_page_of_the_description_needs_nothing_from_another_host(site: Site) -> None:
    answer = Client().get(f"{API}docs")
    text = answer.content.decode()
    for _, method, operation in operations(DESCRIPTION):
        assert f'id="{operation["operationId"]}"' in text
        assert method.upper() in text
    assert "http://" not in text.replace("http://testserver", "")
    assert "https://" not in text
    assert "<style" not in text
    assert "style=" not in text
    assert text.count("<script") == text.count("<script src=") + text.count("<script type=")
    assert Client().get(API)["Location"] == f"{API}docs"


@pytest.mark.deep
@pytest.mark.parametrize("account", ["adam", "sam"])
def test_what_schemathesis_calls_is_answered_as_described(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    monkeypatch.setattr(WrongTokens, "AT_MOST", 1_000_000)  # it tries wrong ones with every call
    settings.ALLOWED_HOSTS = ["localhost"]
    fill(site)
    token = token_of(account, "read", "upload", "operate")
    schema: Any = schemathesis.openapi.from_wsgi(f"{API}openapi.json", get_wsgi_application())
    schema = schema.exclude(path_regex="/(tus|dicomweb)/")  # protocols with rules that a schema cannot say
    for result in schema.get_all_operations():
        for mode in GenerationMode:
            _try(result.ok(), mode, token)


# Times, names and cursors have rules that a schema cannot say: 31 February, a name that another arrival has, or a
# cursor that no page has given.
_RULES_BEYOND = {"cursor", "since", "until", "name"}


def _try(operation: Any, mode: GenerationMode, token: str) -> None:
    """A bounded number of calls of one operation, the same each time; half of them of things that are there."""
    there = [*Arrival.objects.values_list("pk", flat=True), *Delivery.objects.values_list("pk", flat=True)]
    there += Acknowledgment.objects.values_list("pk", flat=True)
    ids = st.one_of(st.none(), st.sampled_from(there))

    @hypothesis.settings(
        max_examples=examples(3, 10),
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), id=ids)
    def call(case: Any, id: Any) -> None:
        if id is not None and case.path_parameters:
            case.path_parameters = dict.fromkeys(case.path_parameters, str(id))
        headers = {"Authorization": f"Bearer {token}"}
        answer = case.call(headers=headers)
        beyond = (
            answer.status_code == 422
            and {fault["field"] for fault in answer.json().get("errors", [])} <= _RULES_BEYOND
        )
        looked_up = answer.status_code == 404 and "name" in (case.query or {})  # no arrival has this name
        excluded = [positive_data_acceptance] if beyond or looked_up else []
        case.validate_response(answer, headers=headers, excluded_checks=excluded)

    call()
