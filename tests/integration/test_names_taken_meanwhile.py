"""A name that somebody else takes after the plan and before the publication stays theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from databases import Database
from desk import Desk
from dropslot.arrivals.delivery import publish
from dropslot.arrivals.delivery.work import Work
from dropslot.arrivals.models import Delivery
from dropslot.core.states import State


def test_the_item_gets_the_next_number_and_manifest_and_ledger_say_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, publish_items = Desk(tmp_path), publish.publish_items
    (target := tmp_path / "to" / "p").mkdir()

    def published(work: Work) -> None:
        (target / "scan.nii.gz").write_bytes(b"theirs")
        publish_items(work)

    monkeypatch.setattr(publish, "publish_items", published)
    with override_settings(DROPSLOT=desk.config):
        assert desk.attempt(desk.send("p-1", {"scan.nii.gz": b"ours", "notes": b"n"})) == [State.DONE]
    assert (target / "scan.nii.gz").read_bytes() == b"theirs"
    assert (target / "scan.v2.nii.gz").read_bytes() == b"ours"
    rows = Delivery.objects.order_by("item").values_list("item", "stored_as", "version", "outcome")
    assert list(rows) == [
        ("notes", "notes", 1, "delivered"),
        ("scan.nii.gz", "scan.v2.nii.gz", 2, "delivered"),
    ]
    (manifest,) = target.glob(".dropslot/manifests/*.sha256")
    assert [line.split("  ")[1] for line in manifest.read_text().splitlines()] == ["notes", "scan.v2.nii.gz"]
    assert database.vendor
