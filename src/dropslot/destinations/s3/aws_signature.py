"""Signatures of requests: AWS Signature Version 4, as S3 takes it, with a body that is not part of the signature.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. The SDK's own code gives the same, in ten
times the processor's time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Protocol

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(Protocol):
    """An access key as the SDK has it."""

    access_key: str
    secret_key: str
    token: str | None


def signed(
    keys: Keys, region: str, moment: datetime, method: str, host: str, target: str, headers: Mapping[str, str]
) -> dict[str, str]:
    """All headers of a request. `target`: path and query, percent-encoded; `headers`: names in lower case, values
    without blanks at their ends or two in a row; `moment` is UTC."""
    at = moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    every = {**headers, "host": host, "x-amz-date": at, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    if keys.token:
        every["x-amz-security-token"] = keys.token
    names = sorted(every)
    path, _, query = target.partition("?")
    canonical = [
        method,
        path,
        "&".join(sorted(query.split("&"))),
        *(f"{name}:{every[name]}" for name in names),
    ]
    canonical += ["", ";".join(names), every["x-amz-content-sha256"]]
    digest = hashlib.sha256("\n".join(canonical).encode(), usedforsecurity=False).hexdigest()
    key = _key(keys.secret_key, at[:8], region)
    signature = hmac.new(key, "\n".join([_ALGORITHM, at, scope, digest]).encode(), "sha256").hexdigest()
    said = f"Credential={keys.access_key}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return every | {"authorization": f"{_ALGORITHM} {said}"}


@lru_cache(maxsize=8)
def _key(secret: str, day: str, region: str) -> bytes:
    """The same for all requests of a day."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
