"""QIDO-RS: whether a service lists what it has acknowledged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dropslot.destinations.dicomweb.http_requests import Requests
from dropslot.destinations.dicomweb.service_access import Access, unready
from dropslot.destinations.instances import (
    SENT_AGAIN,
    Instance,
    missing_for_good,
    not_listed,
    unlisted,
)

_SOP_INSTANCE_UID = "00080018"
_PAGE = 1000


def require_listed(access: Access, instances: Sequence[Instance]) -> None:
    """Raise DestinationUnready unless the service lists every instance."""
    if missing := missing_for_good(instances, partial(_unlisted, access)):
        raise unready(access, not_listed("QIDO-RS", missing, instances), SENT_AGAIN)


def _unlisted(access: Access, instances: Sequence[Instance]) -> list[Instance]:
    there: set[str] = set()
    with Requests(access) as requests:
        for study, series in sorted({(each.study_uid, each.series_uid) for each in instances}):
            there |= _listed(requests, f"/studies/{study}/series/{series}/instances")
    return unlisted(instances, there)


def _listed(requests: Requests, path: str) -> set[str]:
    there: set[str] = set()
    while page := _page(requests, f"{path}?limit={_PAGE}&offset={len(there)}") - there:
        there |= page
    return there


def _page(requests: Requests, path: str) -> set[str]:
    answer = requests.ask("GET", path)
    if answer.status == 404:  # it does not have the series
        return set()
    if not answer.is_success:
        raise requests.refused(answer, "QIDO-RS")
    found = answer.json() if answer.content else []
    entries = found if isinstance(found, list) else []
    return {uid for entry in entries if isinstance(entry, dict) and (uid := _uid(entry))}


def _uid(entry: dict[str, object]) -> str:
    element = entry.get(_SOP_INSTANCE_UID)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""
