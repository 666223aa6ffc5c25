"""Signed requests that carry bytes. The SDK's own way to send an object takes several times the processor's time: these
use its credentials, signatures and connections, and leave out the layers above.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError, SSLError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from dropslot.destinations.s3.client import ANSWER_SECONDS, AT_ONCE, CONNECT_SECONDS, TRIES, Connected

Bytes = bytes | bytearray | memoryview

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
# While another request for the same key is under way, or the body came too slowly.
_AGAIN_CODES = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout"})
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 10.0
_PATIENCE_SECONDS = 100  # afterwards the arrival waits instead of its worker


class Answer(NamedTuple):
    """What the store answered; its status is a success."""

    headers: Mapping[str, str]
    body: bytes


class Sending:
    """Safe for use by several threads."""

    def __init__(self, connected: Connected) -> None:
        self._connected = connected
        self._meta = connected.client.meta
        self._http = URLLib3Session(
            verify=connected.verify,
            proxies=get_environ_proxies(connected.url),
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
            max_pool_connections=AT_ONCE,
            socket_options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            ],
        )

    def ask(self, method: str, key: str, query: str, data: Bytes, headers: Mapping[str, str]) -> Answer:
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

    def _ask(self, method: str, key: str, query: str, data: Bytes, headers: Mapping[str, str]) -> Answer:
        url = f"{self._connected.url}{quote(key, safe='/~')}{query}"
        request = AWSRequest(method, url, {**headers, "Content-Length": str(len(data))}, data)
        if self._connected.credentials is None:
            raise NoCredentialsError
        request.context["client_config"] = self._meta.config
        frozen = self._connected.credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, "s3", self._meta.region_name).add_auth(request)
        answer = self._http.send(request.prepare())
        if answer.status_code >= 300:
            raise _refusal(method, answer.status_code, answer.headers, answer.content)
        return Answer(answer.headers, answer.content)


def _may_heal(error: ClientError | HTTPClientError) -> bool:
    if isinstance(error, HTTPClientError):
        return not isinstance(error, SSLError)
    response = error.response
    return (
        response["ResponseMetadata"]["HTTPStatusCode"] in _AGAIN or response["Error"]["Code"] in _AGAIN_CODES
    )


def _refusal(method: str, status: int, headers: Mapping[str, str], body: bytes) -> ClientError:
    """The SDK's error for an answer."""
    try:
        said = {each.tag.rpartition("}")[2]: each.text or "" for each in ElementTree.fromstring(body)}
    except ElementTree.ParseError:
        said = {}
    response: dict[str, Any] = {
        "Error": {"Code": said.get("Code", str(status)), "Message": said.get("Message", "")},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "HTTPHeaders": {k.lower(): v for k, v in headers.items()},
        },
    }
    return ClientError(response, method)
