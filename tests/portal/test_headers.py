"""What each page tells the browser: what it may load and run, who may frame and keep it, and how cookies travel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.test import Client
from django.urls import reverse

from page_table import pages
from portals import Site, routes

_ADDRESSES = frozenset(
    {"href", "src", "action", "formaction", "poster", "data", "srcset", "hx-get", "hx-post"}
)


class Loads(HTMLParser):
    """What a page loads or leads to, and what the policy forbids in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._inline = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")) or (value or "").startswith("js:"):
                self.wrong.append(f"<{tag} {name}={value}>")
            if name in _ADDRESSES and tag != "a" and urlsplit(value or "").netloc:
                self.wrong.append(f"<{tag} {name}={value}>")
        kind = given.get("type") or ""
        if tag == "style" or (tag == "script" and not given.get("src") and "json" not in kind):
            self.wrong.append(f"<{tag}>")


def answers(site: Site, who: str = "adam") -> Iterator[tuple[str, Any]]:
    """Each page that answers with HTML."""
    client = site.client(who)
    for path in ("/account/login/", "/account/logout/", "/account/2fa/", "/no-such-page", "/api/v1/docs"):
        yield path, client.get(path)
    for name, row in pages():
        path = reverse(f"dropslot:{name}", kwargs=row.arguments())
        yield path, client.get(f"{path}?{row.query}")


@pytest.mark.parametrize("who", ["adam", ""])
def test_each_page_has_its_headers_and_loads_nothing_from_elsewhere(filled_site: Site, who: str) -> None:
    wrong = [
        f"{path}: {fault}" for path, answer in answers(filled_site, who) for fault in _faults(path, answer)
    ]
    assert not wrong, "\n".join(wrong)


def _faults(path: str, answer: Any) -> Iterator[str]:
    policy = answer.get("Content-Security-Policy", "")
    needed = ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors")
    if answer.get("Content-Type", "").startswith("text/html"):
        yield from (f"policy without {part}" for part in needed if part not in policy)
        yield from Loads(answer.content.decode()).wrong
    if "unsafe" in policy or "*" in policy or "http:" in policy:
        yield f"policy {policy}"
    if answer.get("X-Content-Type-Options") != "nosniff":
        yield "no nosniff"
    if answer.get("X-Frame-Options") not in ("DENY", "SAMEORIGIN"):
        yield "may be framed"
    if answer.get("Referrer-Policy") != "same-origin":
        yield "tells other hosts where people come from"
    if not any(word in answer.get("Cache-Control", "") for word in ("no-store", "private", "no-cache")):
        yield f"may be kept in caches: {answer.get('Cache-Control')}"
    for cookie in answer.cookies.values():
        if cookie["samesite"] not in ("Lax", "Strict"):
            yield f"cookie {cookie.key} goes to other sites' requests"
        if "session" in cookie.key and not cookie["httponly"]:
            yield f"cookie {cookie.key} can be read by scripts"


def test_another_host_is_not_answered(site: Site) -> None:
    for host in ("evil.example", "testserver.evil.example", "testserver@evil.example", "evil.example:80", ""):
        answer = Client(raise_request_exception=False).get("/account/login/", headers={"host": host})
        assert answer.status_code == 400, host
        assert "evil" not in answer.content.decode()


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_a_sign_in_leads_to_no_other_host(site: Site, target: str) -> None:
    from portals import PASSWORD

    answer = Client().post(
        f"/account/login/?next={target}", {"login": "olga", "password": PASSWORD, "next": target}
    )
    assert answer.status_code == 302
    assert urlsplit(answer["Location"]).netloc == ""
    assert "evil" not in answer["Location"]
    assert "javascript" not in answer["Location"]


def test_a_form_without_its_token_changes_nothing(site: Site) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/account/login/", {"login": "olga", "password": "x"})
    assert answer.status_code == 403
    assert "too old" in answer.content.decode()


def test_signing_in_gives_another_session(site: Site) -> None:
    from portals import PASSWORD

    client = Client()
    client.get("/account/login/")
    before = {key: cookie.value for key, cookie in client.cookies.items()}
    client.post("/account/login/", {"login": "olga", "password": PASSWORD})
    after = {key: cookie.value for key, cookie in client.cookies.items()}
    assert before.get("dropslot_session") != after["dropslot_session"]
    assert before["dropslot_csrf"] != after["dropslot_csrf"]


@pytest.fixture
def deployed(tmp_path: Path) -> dict[str, str]:
    """Environment of Django's commands for an installation behind https."""
    content = {"data": "./var", "portal": {"url": "https://drop.lab.example"}, "routes": routes(tmp_path)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    return {
        **os.environ,
        "DROPSLOT_CONFIG": str(tmp_path / "config.yaml"),
        "DJANGO_SETTINGS_MODULE": "dropslot.portal_settings",
    }


def _django(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_djangos_own_check_finds_nothing(deployed: dict[str, str]) -> None:
    assert "no issues" in _django(deployed, "check", "--deploy", "--fail-level", "INFO")


def test_behind_https_cookies_travel_only_there(deployed: dict[str, str]) -> None:
    out = _django(
        deployed,
        "shell",
        "--no-imports",
        "-c",
        "from django.conf import settings as s\n"
        "print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0, s.CSRF_TRUSTED_ORIGINS)",
    )
    assert out.strip() == "True True True ['https://drop.lab.example']"
