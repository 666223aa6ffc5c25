"""The requests to one bucket. Each succeeds, or raises an error in words after some tries."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from dropslot.core.names import escape
from dropslot.destinations.s3 import faults
from dropslot.destinations.s3.connections import Bytes, Reply
from dropslot.destinations.s3.put_requests import Sending
from dropslot.destinations.s3.sdk_client import connect
from dropslot.destinations.s3.store_access import Access

_PIECE_BYTES = 1 << 20
_NO_OBJECT = frozenset({"404", "NoSuchKey", "NotFound"})
_NO_BYTES = frozenset({"416", "InvalidRange"})
_NO_UPLOAD = frozenset({"404", "NoSuchUpload"})
_IS_THERE = frozenset({"412", "PreconditionFailed"})
_WRONG_DIGEST = _IS_THERE | {
    "BadDigest",
    "InvalidDigest",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}


class Seen(NamedTuple):
    """One object."""

    size_bytes: int
    at: datetime


class Page(NamedTuple):
    """A part of a listing: objects by key, and prefixes of more. `rest` continues it."""

    objects: Mapping[str, Seen]
    folders: list[str]
    rest: str | None


class Part(NamedTuple):
    """A part of an object that is not complete yet; `sha256` in base64, if the store keeps it."""

    size_bytes: int
    etag: str
    sha256: str | None
    at: datetime


class Begun(NamedTuple):
    """An object of which some parts may have been sent."""

    key: str
    upload: str
    at: datetime


class Store:
    """Safe for use by several threads."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._connecting = threading.Lock()
        self._made: tuple[Any, Sending] | None = None
        self._user = 0  # the process that has sent requests

    def connect(self) -> None:
        """Make ready for requests, which takes half a second; nothing is sent. Raises BadOption."""
        if self._made is None:
            connected = connect(self.access)
            self._made = connected.client, Sending(connected)

    def _connected(self) -> tuple[Any, Sending]:
        """The SDK's client and our own requests. A forked process makes its own, unless its parent has sent nothing."""
        with self._connecting:
            if self._user not in (0, os.getpid()):
                self._made = None
            self._user = os.getpid()
            self.connect()
            assert self._made
            return self._made

    # Objects

    def put(self, key: str, data: Bytes, sha256: bytes, metadata: Mapping[str, str]) -> bool:
        """Make an object, whole and durable on return. False: there is one of that key, and it stays as it is."""
        headers = self._new(metadata) | {"if-none-match": "*", "x-amz-checksum-sha256": in_base64(sha256)}
        return self._send("PUT", f"Sending {escape(key)}", key, "", data, headers, _IS_THERE) is not None

    def takes_wrong_digest(self, key: str, data: Bytes, sha256: bytes) -> bool:
        """Whether an object is there after bytes were sent with the SHA-256 of others."""
        headers = self._new({}) | {"if-none-match": "*", "x-amz-checksum-sha256": in_base64(sha256)}
        sent = self._send("PUT", "Sending a wrong digest", key, "", data, headers, _WRONG_DIGEST)
        return sent is not None or self.look(key) is not None

    def takes_wrong_part(self, key: str, data: Bytes, sha256: bytes) -> bool:
        """Whether bytes are taken as a part of an object with the SHA-256 of others."""
        upload = self.begin(key, {})
        query = f"?partNumber=1&uploadId={quote(upload, safe='')}"
        headers = {"x-amz-checksum-sha256": in_base64(sha256)}
        try:
            sent = self._send("PUT", "Sending a wrong part", key, query, data, headers, _WRONG_DIGEST)
        finally:
            self.abort(key, upload)
        return sent is not None

    def _new(self, metadata: Mapping[str, str]) -> dict[str, str]:
        return {**self.access.kept_how(), **{f"x-amz-meta-{name}": value for name, value in metadata.items()}}

    def look(self, key: str) -> Seen | None:
        """The object of this key."""
        found = self._ask("head_object", f"Looking at {escape(key)}", _NO_OBJECT, Key=key)
        return found and Seen(found["ContentLength"], found["LastModified"])

    def page(self, prefix: str, rest: str | None = None, *, most: int = 1000, deep: bool = False) -> Page:
        """Keys that begin with a prefix; those with a further slash only as folders, unless `deep`."""
        asked: dict[str, Any] = {"Prefix": prefix, "MaxKeys": most}
        asked |= {} if deep else {"Delimiter": "/"}
        asked |= {"ContinuationToken": rest} if rest else {}
        found = self._ask("list_objects_v2", f"Listing {escape(prefix)}", **asked)
        objects = {
            each["Key"]: Seen(each["Size"], each["LastModified"]) for each in found.get("Contents", ())
        }
        folders = [each["Prefix"] for each in found.get("CommonPrefixes", ())]
        return Page(
            objects, folders, found.get("NextContinuationToken") if found.get("IsTruncated") else None
        )

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object. Raises FileNotFoundError."""
        doing = f"Reading {escape(key)}"
        found = self._ask("get_object", doing, _NO_OBJECT, Key=key)
        if found is None:
            raise FileNotFoundError(key)
        with self._explained(doing), closing(found["Body"]) as body:
            yield from body.iter_chunks(_PIECE_BYTES)

    def read_beginning(self, key: str, most: int) -> bytes | None:
        """Up to `most` bytes of an object, in one request; None if there is no object, or it is empty."""
        headers = {"range": f"bytes=0-{most - 1}"}
        found = self._send("GET", f"Reading {escape(key)}", key, "", b"", headers, _NO_OBJECT | _NO_BYTES)
        return found and found.body

    # Objects in parts: nothing of them is visible before they are complete

    def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin an object in parts; the id of the upload."""
        headers = self._new(metadata) | {"x-amz-checksum-algorithm": "SHA256"}
        begun = self._send("POST", f"Beginning {escape(key)}", key, "?uploads=", b"", headers)
        assert begun
        for each in ElementTree.fromstring(begun.body):
            if each.tag.endswith("UploadId"):
                return each.text or ""
        raise ValueError(f"{self.access.place} begins an upload without an id")

    def send_part(self, key: str, upload: str, number: int, data: Bytes, sha256: bytes) -> str:
        """Send one part; its ETag."""
        query, headers = (
            f"?partNumber={number}&uploadId={quote(upload, safe='')}",
            {"x-amz-checksum-sha256": in_base64(sha256)},
        )
        sent = self._send("PUT", f"Sending part {number} of {escape(key)}", key, query, data, headers)
        assert sent
        return sent.headers["ETag"]

    def complete(self, key: str, upload: str, parts: list[dict[str, Any]]) -> bool:
        """Make the object of its parts. False: there is one of that key, and it stays as it is, or the store does not
        know the upload, perhaps because an earlier request has completed it."""
        refused = _IS_THERE | _NO_UPLOAD
        how = {"UploadId": upload, "MultipartUpload": {"Parts": parts}, "IfNoneMatch": "*"}
        done = self._ask("complete_multipart_upload", f"Completing {escape(key)}", refused, Key=key, **how)
        return done is not None

    def abort(self, key: str, upload: str) -> None:
        """Remove all parts."""
        self._ask("abort_multipart_upload", f"Aborting {escape(key)}", _NO_UPLOAD, Key=key, UploadId=upload)

    def uploads(self, prefix: str) -> list[Begun]:
        """Objects that are not complete, of keys that begin so: the first 1,000."""
        found = self._ask("list_multipart_uploads", f"Looking for parts of {escape(prefix)}", Prefix=prefix)
        return [Begun(each["Key"], each["UploadId"], each["Initiated"]) for each in found.get("Uploads", ())]

    def parts(self, key: str, upload: str) -> dict[int, Part]:
        """The parts that were sent, by number."""
        parts: dict[int, Part] = {}
        marker = 0
        while True:
            asked = {"Key": key, "UploadId": upload, "PartNumberMarker": marker}
            found = (
                self._ask("list_parts", f"Looking at the parts of {escape(key)}", _NO_UPLOAD, **asked) or {}
            )
            for each in found.get("Parts", ()):
                sha256, at = each.get("ChecksumSHA256"), each["LastModified"]
                parts[each["PartNumber"]] = Part(each["Size"], each["ETag"], sha256, at)
            marker = found.get("NextPartNumberMarker", 0)
            if not found.get("IsTruncated") or not marker:
                return parts

    def _send(
        self,
        method: str,
        doing: str,
        key: str,
        query: str,
        data: Bytes,
        headers: Mapping[str, str],
        none_if: Collection[str] = (),
    ) -> Reply | None:
        with self._explained(doing, none_if):
            return self._connected()[1].ask(method, key, query, data, headers)
        return None

    def _ask(self, operation: str, doing: str, none_if: Collection[str] = (), **parameters: Any) -> Any:
        """The answer; None for a refusal with one of the codes `none_if`. Raises DestinationUnready and its like."""
        with self._explained(doing, none_if):
            return getattr(self._connected()[0], operation)(Bucket=self.access.bucket, **parameters)

    @contextmanager
    def _explained(self, doing: str, but: Collection[str] = ()) -> Iterator[None]:
        """Turns the SDK's errors into dropslot's own; refusals with the codes `but` end the block."""
        try:
            yield
        except (BotoCoreError, HTTPClientError, ClientError) as error:
            if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in but:
                return
            raise faults.explained(error, self.access, doing) from error


def in_base64(digest: bytes) -> str:
    """A digest as it stands in a header."""
    return base64.b64encode(digest).decode("ascii")
