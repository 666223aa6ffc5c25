"""Buckets of object stores, as a kind of destination."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dropslot.config import Deliver
from dropslot.core.addressing.addresses import server_of
from dropslot.core.context import once
from dropslot.core.errors import BadOption, DestinationUnready
from dropslot.destinations.base import Examined, Kind, Target
from dropslot.destinations.s3.store_access import Access, access_of

if TYPE_CHECKING:
    from dropslot.destinations.s3.destination import S3

PATIENCE_SECONDS = 5.0


class S3Kind(Kind):
    """Addresses such as `s3://studies/{study}/raw`."""

    def for_rule(self, rule: Deliver) -> S3:
        if find_spec("botocore") is None:
            raise BadOption(
                f"deliver to {rule.to}: it needs the package botocore, which is not installed",
                next_step="Install it: pip install 'dropslot[s3]'",
            )
        return _made(access_of(rule))

    def prove(self, rules: Sequence[Deliver], *, by_trial: bool) -> None:
        _require_one_store_for_each_bucket(rules)
        pairs = {(self.for_rule(rule), Target.fixed_part(rule)): None for rule in rules}
        for destination, _ in pairs:
            destination.store.connect()  # raises BadOption
        if not by_trial:
            return  # the first delivery of each process tries
        pool = ThreadPoolExecutor(len(pairs), "dropslot-trials")
        tried = [pool.submit(destination.check, target) for destination, target in pairs]
        pool.shutdown(wait=False)
        done, _ = wait(tried, PATIENCE_SECONDS)
        for trial in done:
            with suppress(DestinationUnready):  # temporary: the delivery that hits it is retried
                trial.result()

    def examine(self, rule: Deliver, warn_percent: float) -> Examined:  # noqa: ARG002
        target = Target.fixed_part(rule)
        self.for_rule(rule).check(target)
        return Examined("ok", f"{target.fixed} can be written, and no object there can be replaced")


def _require_one_store_for_each_bucket(rules: Sequence[Deliver]) -> None:
    """An address, which records keep, does not say at which store its bucket is."""
    endpoints: dict[str, str | None] = {}
    for rule in rules:  # of all routes
        endpoint = access_of(rule).endpoint
        if endpoints.setdefault(server_of(rule.to), endpoint) != endpoint:
            raise BadOption(
                f"deliver to {rule.to}: another entry has a bucket of this name at another `endpoint`",
                next_step="Give the buckets different names: records tell them apart by these alone",
            )


@once
def _made(access: Access) -> S3:
    from dropslot.destinations.s3.destination import S3  # its library takes a while

    return S3(access)
