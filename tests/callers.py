"""Programs that call the API, in this process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from ulid import ULID

from dropslot.access.models import Token
from dropslot.acknowledgments.models import Acknowledgment
from dropslot.arrivals.models import Delivery
from imaging import record_images
from portals import Site

API = "/api/v1/"


def fill(site: Site, scan: bytes = b"a") -> None:
    """An arrival of sam's study `heart`, delivered; for the clinic `north` one of olga's delivered and fetched, and
    one refused. The two that were delivered have rows of images."""
    site.drop("study", "heart-1", {"scan": scan, "notes/b": b"b"})
    site.deliver("sam")
    site.drop("results", "north-1.pdf", b"%PDF-1.4 n")
    site.drop("results", "north-bad.exe", b"x")
    site.deliver("olga")
    for name in ("heart-1", "north-1.pdf"):
        record_images(name, f"Of^{name}")
    now = timezone.now()
    Acknowledgment.objects.create(
        id=str(ULID()),
        delivery=Delivery.objects.get(item="north-1.pdf"),
        user="clinic12",
        address="10.1.2.3",
        at=now,
        evidence="whole",
        log="/var/log/apache2/access.log",
        line=b'10.1.2.3 - clinic12 "GET /north-1.pdf"',
        recorded_at=now,
    )


def token_of(name: str, *scopes: str, days: float = 1, **more: Any) -> str:
    """A token of this account; in `more`, other columns of its row."""
    secret = f"ds_{ULID()}{ULID()}"
    now = timezone.now()
    Token.objects.create(
        id=str(ULID()),
        user=User.objects.get(username=name),
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        scopes=list(scopes),
        made_at=now,
        expires_at=now + timedelta(days=days),
        **more,
    )
    return secret


@dataclass
class Caller:
    """A program with a token; without one, nobody."""

    site: Site
    token: str = ""

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """`content`: the query of a GET, else a JSON body."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        address = path if path.startswith("/") else API + path
        if method in ("GET", "HEAD"):
            return getattr(Client(), method.lower())(address, content, headers=headers)
        data = "" if content is None else json.dumps(content)
        return Client().generic(method, address, data, content_type="application/json", headers=headers)
