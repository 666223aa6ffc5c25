"""Storage commitment, asked for by a real Orthanc: success only for what is delivered."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dicom.archives import AET, Archive, orthanc
from dicom.images import STUDY_UID, image, series
from dicom.receiver import Receiver, write_files
from ports import free_port
from product import Product
from waiting import wait_until


def asked(archive: Archive, path: str, body: Any = None) -> Any:
    """The answer of Orthanc's REST API."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{archive.web_port}{path}", data, timeout=30) as answer:
        return json.loads(answer.read())


def reported(archive: Archive, transaction: str) -> dict[str, Any] | None:
    report: dict[str, Any] = asked(archive, f"/storage-commitment/{transaction}")
    return None if report["Status"] == "Pending" else report


@pytest.mark.crash
@pytest.mark.parametrize(
    "more", [{}, {"deidentify": {"profile": "basic"}}], ids=["as it is", "de-identified"]
)
def test_what_is_delivered_is_committed_and_what_never_came_is_not(
    sqlite_product: Product, tmp_path: Path, more: dict[str, Any]
) -> None:
    port = free_port()
    allow = [{"aet": AET, "host": "127.0.0.1", "port": port}, {"aet": "MR1"}]
    receiver = Receiver(sqlite_product, more, allow=allow, commitment="8s")
    paths = write_files(tmp_path / "files", series(3) | {"never": image(9)})
    receiver.start()
    with orthanc(tmp_path / "archive", receiver.port, port) as archive:
        archive.store(paths)
        instances = asked(archive, "/instances")
        uids = {
            one: asked(archive, f"/instances/{one}/simplified-tags")["SOPInstanceUID"] for one in instances
        }
        last = asked(archive, "/tools/find", {"Level": "Instance", "Query": {"InstanceNumber": "9"}})
        sent = sorted(set(instances) - set(last))
        asked(archive, "/modalities/dropslot/store", sent)
        request = {"Resources": sent}
        good = asked(archive, "/modalities/dropslot/storage-commitment", request)["ID"]
        both = asked(archive, "/modalities/dropslot/storage-commitment", {"Resources": [*sent, *last]})["ID"]
        report = wait_until(lambda: reported(archive, good), deadline_seconds=60, what="a report")
        assert report is not None
        # Whoever is told that it is committed can rely on the delivery.
        arrivals = {arrival["name"]: arrival for arrival in sqlite_product.arrivals()}
        assert arrivals[STUDY_UID]["state"] == "done"
        assert report["Status"] == "Success"
        assert sorted(one["SOPInstanceUID"] for one in report["Success"]) == sorted(uids[one] for one in sent)
        report = wait_until(lambda: reported(archive, both), deadline_seconds=60, what="a report")
        assert report is not None
        assert report["Status"] == "Failure"
        assert [one["SOPInstanceUID"] for one in report["Failures"]] == [uids[one] for one in last]
        assert len(report["Success"]) == 3
