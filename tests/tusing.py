"""A small tus client over Django's test client, for tests in this process."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import requests
from django.test import Client

TUS = "/api/v1/tus/"
BODY = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    return ",".join(pairs)


class Tus:
    """`headers` of a call are added to those of the protocol; None leaves one out."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def send(self, method: str, address: str, data: bytes = b"", **headers: str | None) -> Any:
        said = {"tus-resumable": "1.0.0"} | {key.replace("_", "-"): value for key, value in headers.items()}
        kind = said.pop("content-type", BODY if data or method == "PATCH" else "")
        known = {key: value for key, value in said.items() if value is not None}
        return self.client.generic(method, address, data, content_type=kind or "", headers=known)

    def create(self, length: int, said: Mapping[str, str], data: bytes = b"", **headers: str | None) -> Any:
        facts: dict[str, str | None] = {"upload_length": str(length), "upload_metadata": metadata(**said)}
        return self.send("POST", TUS, data, **(facts | headers))

    def patch(self, address: str, offset: int, data: bytes, **headers: str | None) -> Any:
        return self.send("PATCH", address, data, upload_offset=str(offset), **headers)

    def offset(self, address: str) -> int:
        answer = self.send("HEAD", address)
        assert answer.status_code == 200, answer.status_code
        return int(answer["Upload-Offset"])

    def put(self, data: bytes, **said: str) -> Any:
        """A whole file in one request."""
        return self.create(len(data), said, data, **({} if data else {"content_type": BODY}))

    def post(self, address: str, content: Any) -> Any:
        return self.client.post(f"{TUS}{address}", json.dumps(content), content_type="application/json")

    def finish(self, batch: str, **content: Any) -> Any:
        return self.post(f"batches/{batch}/finish", content)


def signed_in(url: str, name: str, password: str) -> dict[str, str]:
    """The headers of a browser that is signed in, for clients of others."""
    with requests.Session() as session:
        page = session.get(f"{url}/account/login/", timeout=60)
        page.raise_for_status()
        form = {"login": name, "password": password, "csrfmiddlewaretoken": session.cookies["dropslot_csrf"]}
        answer = session.post(f"{url}/account/login/", form, timeout=60, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        cookies = "; ".join(f"{key}={value}" for key, value in session.cookies.items())
        return {"Cookie": cookies, "X-CSRFToken": str(session.cookies["dropslot_csrf"])}
