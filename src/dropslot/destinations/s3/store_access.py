"""Which store, how we are let in, and how objects are kept there."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from dropslot.config import Deliver, secret
from dropslot.config.servers.object_stores import ObjectLock
from dropslot.core.addressing.addresses import server_of
from dropslot.core.errors import BadOption

_ELSEWHERE = "us-east-1"  # what stores other than Amazon's take for any region


class Access(NamedTuple):
    """One bucket. `access_key`, `secret_key` and `session_token` are names of environment variables."""

    bucket: str
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    profile: str | None = None
    addressing: str | None = None
    ca: Path | None = None
    storage_class: str | None = None
    object_lock: ObjectLock | None = None
    encryption: str | None = None
    kms_key: str | None = None

    @property
    def place(self) -> str:
        """The bucket and its store, in words."""
        return f"the bucket {self.bucket} at {self.endpoint or 'Amazon S3'}"

    @property
    def fingerprint(self) -> str:
        """The same for all processes that send to one store, and have objects kept in the same way."""
        kept = (self.storage_class, self.object_lock, self.encryption, self.kms_key)
        return hashlib.sha256(repr((self.bucket, self.endpoint, self.region, *kept)).encode()).hexdigest()[
            :16
        ]

    @property
    def usual_region(self) -> str | None:
        """The region when nothing names one."""
        return _ELSEWHERE if self.endpoint else None

    def credentials(self) -> tuple[str, str, str | None] | None:
        """The access key's id and secret, and a session token; None: the SDK looks for them in its usual places.
        Raises BadOption."""
        if not self.access_key or not self.secret_key:
            return None
        token = self._read(self.session_token) if self.session_token else None
        return self._read(self.access_key), self._read(self.secret_key), token

    def _read(self, name: str) -> str:
        value = secret(name)
        if not value:
            raise BadOption(
                f"deliver to s3://{self.bucket}: the environment variable {name} is not set, nor {name}_FILE",
                next_step="Set one of them for the service, and restart it",
            )
        return value

    def kept_how(self) -> dict[str, str]:
        """What each new object is stored with, as headers."""
        found = {
            "x-amz-storage-class": self.storage_class,
            "x-amz-server-side-encryption": self.encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key,
        }
        if self.object_lock:
            until = datetime.now(UTC) + timedelta(days=self.object_lock.days)
            found["x-amz-object-lock-mode"] = self.object_lock.mode.upper()
            found["x-amz-object-lock-retain-until-date"] = f"{until:%Y-%m-%dT%H:%M:%SZ}"
        return {name: value for name, value in found.items() if value}


_ALIKE = [name for name in Access._fields if name != "bucket"]


def access_of(rule: Deliver) -> Access:
    """The bucket of an entry of `deliver`. Raises BadOption."""
    if bool(rule.access_key) != bool(rule.secret_key):
        raise BadOption(
            f"deliver to {rule.to}: `access_key` and `secret_key` belong together, and only one of them is there",
            next_step="Add the other one in config.yaml, or remove both to use the usual places of the AWS SDK",
        )
    if rule.kms_key and rule.encryption != "aws:kms":
        raise BadOption(
            f"deliver to {rule.to}: `kms_key` needs `encryption: aws:kms`", next_step="Add it in config.yaml"
        )
    return Access(server_of(rule.to), *(getattr(rule, name) for name in _ALIKE))
