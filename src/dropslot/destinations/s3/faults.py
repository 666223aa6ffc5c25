"""What a store says, in words: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from botocore import exceptions

from dropslot.core.errors import DestinationUnready, DiskFull, DropslotError
from dropslot.core.names import escape
from dropslot.destinations.s3.store_access import Access

_KEPT = "Nothing incomplete is visible there; what was delivered before stays as it is"
_RETRIED = "It is retried"
_RIGHTS = (
    "Give the key these rights: s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload,"
    " s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads; it is retried"
)
_KEYS = "Correct the access key for the service, and restart it; it is retried"


class _Words(NamedTuple):
    what: str
    next_step: str = _RETRIED


_NO_SUCH_KEY = _Words("does not know the access key", _KEYS)
_WRONG_SECRET = _Words("says that the secret does not belong to the access key", _KEYS)
_EXPIRED = _Words(
    "says that the session token is expired or not valid", "Renew the temporary access key; it is retried"
)
_CLOCK = _Words(
    "says that this machine's clock is wrong by more than 15 minutes",
    "Set the clock of this machine, or of the store (`timedatectl`, chrony); it is retried",
)
_ELSEWHERE = _Words("is in another region", "Correct `region` or `endpoint` in config.yaml; it is retried")
_GONE = _Words("does not exist", "Make the bucket, or correct `to`; dropslot never makes one. It is retried")
_BUSY = _Words("asks for fewer requests (it is overloaded)")
_DENIED = _Words("does not permit it", _RIGHTS)
_NO_LOCK = _Words(
    "does not take `object_lock`, `storage_class` or `encryption` as config.yaml has them",
    "Correct them, or make the bucket with object lock; it is retried",
)
_BY_CODE: Mapping[str, _Words] = {
    "InvalidAccessKeyId": _NO_SUCH_KEY,
    "SignatureDoesNotMatch": _WRONG_SECRET,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "PermanentRedirect": _ELSEWHERE,
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "NoSuchBucket": _GONE,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "TooManyRequests": _BUSY,
    "InvalidStorageClass": _NO_LOCK,
    "InvalidEncryptionAlgorithmError": _NO_LOCK,
    "ObjectLockConfigurationNotFoundError": _NO_LOCK,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
}
# Answers to requests without a body (HEAD) have a status alone.
_BY_STATUS: Mapping[int, _Words] = {301: _ELSEWHERE, 403: _DENIED, 429: _BUSY, 503: _BUSY}
_FULL = ("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "InsufficientStorageCapacity")


def explained(error: Exception, access: Access, doing: str) -> DropslotError:
    """The error for a request that failed for good; `doing` is like "Sending scan.nii.gz"."""
    if isinstance(error, exceptions.ClientError):
        return _said(error.response, access, doing)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        what = "there is no access key: neither `access_key` and `secret_key` nor the places of the AWS SDK have one"
        return _unready(access, doing, what, "Set them for the service, and restart it; it is retried")
    if isinstance(error, exceptions.SSLError):
        what = f"its certificate is not trusted ({_short(error)})"
        return _unready(
            access, doing, what, "Set `ca` in config.yaml to the store's authority; it is retried"
        )
    return _unready(access, doing, f"it gives no answer ({_short(error)})", _RETRIED)


def _said(response: Mapping[str, Any], access: Access, doing: str) -> DropslotError:
    said, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(said.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
    text = escape(str(said.get("Message", ""))[:300])
    told = f" ({code}: {text})" if text else f" ({code or status})"
    if code in _FULL or status == 507:
        return DiskFull(
            f"{doing}: {access.place} is full{told}",
            where=_KEPT,
            next_step="Free space there, or raise the quota",
        )
    words = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if words is None:
        return _unready(access, doing, f"it refuses{told}", _RETRIED)
    clock = _clocks(metadata.get("HTTPHeaders", {})) if words is _CLOCK else ""
    return DestinationUnready(
        f"{doing}: {access.place} {words.what}{clock}{told}", where=_KEPT, next_step=words.next_step
    )


def _clocks(headers: Mapping[str, str]) -> str:
    try:
        return f": there it is {parsedate_to_datetime(headers['date']):%Y-%m-%d %H:%M:%S} UTC"
    except (KeyError, ValueError):
        return ""


def _unready(access: Access, doing: str, what: str, next_step: str) -> DestinationUnready:
    return DestinationUnready(f"{doing} at {access.place}: {what}", where=_KEPT, next_step=next_step)


def _short(error: Exception) -> str:
    return escape(str(error).partition("\n")[0][:300])
