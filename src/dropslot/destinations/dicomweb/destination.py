"""A DICOMweb service as a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dropslot.destinations.base import ACKNOWLEDGED, LISTS_INSTANCES, Target
from dropslot.destinations.dicomweb import qido, stow
from dropslot.destinations.dicomweb.http_requests import Requests
from dropslot.destinations.dicomweb.service_access import Access
from dropslot.destinations.instances import Instance, InstanceReceiver, Outgoing

# Answers to a question that a service need not know.
_KNOWS_NO_QUERIES = (400, 405, 406, 501)


class DicomWeb(InstanceReceiver):
    """One service."""

    def __init__(self, access: Access, verify: str = "find", spool: Path | None = None) -> None:
        super().__init__(spool)
        self.access, self.verify = access, verify
        self.proofs = frozenset({ACKNOWLEDGED, LISTS_INSTANCES} if verify == "find" else {ACKNOWLEDGED})

    def check(self, target: Target) -> None:  # noqa: ARG002
        with Requests(self.access) as requests:
            answer = requests.ask("GET", "/instances?limit=1")
            if answer.is_success or (self.verify != "find" and answer.status in _KNOWS_NO_QUERIES):
                return
            raise requests.refused(answer, "a question (QIDO-RS)")

    def admit(self, target: Target, instances: Mapping[str, Instance]) -> None:  # noqa: ARG002
        self.check(target)

    def send_instances(self, target: Target, items: Sequence[Outgoing]) -> Mapping[str, int]:  # noqa: ARG002
        said = stow.store(self.access, items)
        if self.verify == "find":
            qido.require_listed(self.access, [item.instance for item in items])
        return said
