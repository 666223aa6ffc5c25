"""The routes as configured, in words, without secrets."""

from __future__ import annotations

import html
from typing import Any

import pytest

from dropslot.config import from_mapping
from portals import Site, routes


def page(site: Site, name: str) -> str:
    answer = site.client(name).get("/routes/")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("olga", True),
        ("augusta", True),
        ("adam", True),
        ("sam", False),
        ("rita", False),
        ("stella", False),
        ("nobody", False),
    ],
)
def test_who_sees_everything_of_a_route_sees_how_it_is_configured(site: Site, name: str, sees: bool) -> None:
    assert site.client(name).get("/routes/").status_code == (200 if sees else 404)


def test_a_role_for_one_route_shows_that_route_only(site: Site) -> None:
    site.account("rolf", "operator", routes=("results",))
    shown = page(site, "rolf")
    assert "route-results" in shown
    assert "route-study" not in shown


def test_each_route_is_told_in_words(site: Site) -> None:
    shown = page(site, "olga")
    for text in (
        "It takes whole folders",
        "It takes single files",
        "*.pdf, *.txt",
        "A folder of this machine",
    ):
        assert text in shown, text
    assert "nothing waits" in shown


def test_what_waits_is_counted(site: Site) -> None:
    site.drop("results", "north-1.exe")
    site.deliver()
    assert "1 refused" in page(site, "olga")


def test_secrets_and_key_files_are_not_shown(
    site: Site, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDC_PASSWORD", "very secret")
    known = routes(site.root)
    known["results"]["deliver"] = [
        {
            "to": "sftp://edc@edc.example.org/~/in/{folder}",
            "password": "EDC_PASSWORD",
            "key": "~/.ssh/id_secret",
        }
    ]
    settings.DROPSLOT = from_mapping(
        {"data": str(site.root / "var"), "portal": {}, "routes": known}, site.root
    )
    shown = page(site, "olga")
    assert "A server, by SFTP" in shown
    assert "sftp://edc@edc.example.org/~/in/{folder}" in shown
    for secret in ("very secret", "EDC_PASSWORD", "id_secret"):
        assert secret not in shown
