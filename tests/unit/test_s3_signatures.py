"""Signatures of requests to object stores: those of the AWS SDK, for every key."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from dropslot.destinations.s3.aws_signature import signed

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(key=TEXT, secret=TEXT, token=st.none() | st.just("a/b+c=="), upload=st.none() | TEXT)
def test_a_signature_is_the_sdks(key: str, secret: str, token: str | None, upload: str | None) -> None:
    target = f"/studies/{quote(key, safe='/~')}"
    target += f"?partNumber=3&uploadId={quote(upload, safe='')}" if upload else ""
    headers = {"if-none-match": "*", "content-length": "5", "x-amz-meta-mtime": "1.5"}
    keys = ReadOnlyCredentials("ID", secret, token)
    request: Any = AWSRequest("PUT", f"http://s3.example:8333{target}", dict(headers), b"bytes")
    request.context["client_config"] = SimpleNamespace(s3={"payload_signing_enabled": False})
    S3SigV4Auth(keys, "s3", "us-east-1").add_auth(request)
    at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed(keys, "us-east-1", at, "PUT", "s3.example:8333", target, headers)
    assert ours["authorization"] == request.headers["Authorization"]
