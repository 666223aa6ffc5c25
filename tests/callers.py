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
from portals import Site

API = "/api/v1/"


def token_of(name: str, *scopes: str, days: float = 1, **more: Any) -> str:
    """A token of this account; in `more`, other columns of its row."""
    secret = f"secret-{ULID()}"
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
