"""Signed requests that carry bytes. The SDK's own way to send an object takes several times the processor's time: these
use its credentials alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError, SSLError

from dropslot.destinations.s3.aws_signature import signed
from dropslot.destinations.s3.connections import Bytes, Connections, Reply
from dropslot.destinations.s3.sdk_client import TRIES, Connected

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
# While another request for the same key is under way, or the body came too slowly.
_AGAIN_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout"})
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 10.0
_PATIENCE_SECONDS = 100  # afterwards the arrival waits instead of its worker


class Sending:
    """Safe for use by several threads."""

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self._region = connected.client.meta.region_name
        parts = urlsplit(connected.url)
        self._host, self._path = parts.netloc, parts.path
        self._connections = Connections(connected.url, connected.verify, connected.proxy)

    def ask(self, method: str, key: str, query: str, data: Bytes, headers: Mapping[str, str]) -> Reply:
        """Send a request, several times if that may help. Raises ClientError and other errors of the SDK."""
        wait, end = _FIRST_WAIT_SECONDS, time.monotonic() + _PATIENCE_SECONDS
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._ask(method, key, query, data, headers)
            except (ClientError, HTTPClientError) as error:
                if not left or not _may_heal(error) or time.monotonic() > end:
                    raise
            time.sleep(wait * random.uniform(0.5, 1))
            wait = min(wait * 3, _LONGEST_WAIT_SECONDS)
        raise AssertionError("never reached")

    def _ask(self, method: str, key: str, query: str, data: Bytes, headers: Mapping[str, str]) -> Reply:
        if self._connected.credentials is None:
            raise NoCredentialsError
        keys = self._connected.credentials.get_frozen_credentials()
        target = f"{self._path}{quote(key, safe='/~')}{query}"
        given = {**headers, "content-length": str(len(data))}
        every = signed(keys, self._region, datetime.now(UTC), method, self._host, target, given)
        reply = self._connections.ask(method, target, data, every)
        if reply.status >= 300:
            raise _refusal(method, reply)
        return reply


def _may_heal(error: ClientError | HTTPClientError) -> bool:
    if isinstance(error, HTTPClientError):
        return not isinstance(error, SSLError)
    response = error.response
    return (
        response["ResponseMetadata"]["HTTPStatusCode"] in _AGAIN or response["Error"]["Code"] in _AGAIN_CODES
    )


def _refusal(method: str, reply: Reply) -> ClientError:
    """The SDK's error for an answer."""
    try:
        said = {each.tag.rpartition("}")[2]: each.text or "" for each in ElementTree.fromstring(reply.body)}
    except ElementTree.ParseError:
        said = {}
    response: dict[str, Any] = {
        "Error": {"Code": said.get("Code", str(reply.status)), "Message": said.get("Message", "")},
        "ResponseMetadata": {
            "HTTPStatusCode": reply.status,
            "HTTPHeaders": {k.lower(): v for k, v in reply.headers.items()},
        },
    }
    return ClientError(response, method)
