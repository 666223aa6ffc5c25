"""A destination that config.yaml has no more ends well, also when somebody has fetched from it by then."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_settling import deliver_again, lying_in_processing

from databases import Database
from dropslot.acknowledgments.models import Acknowledgment, PartialFetch
from dropslot.arrivals.delivery import pipeline
from dropslot.arrivals.intake.claim import new_id
from dropslot.arrivals.models import Arrival, Delivery
from dropslot.audit.models import Event
from dropslot.config import Config, from_mapping
from dropslot.core.errors import DestinationUnready
from dropslot.core.states import State
from dropslot.destinations.local.drop import LocalDrop


def to(base: Path, settings: Any, *folders: str) -> Config:
    deliver = [{"to": f"./{name}"} for name in folders]
    config = from_mapping({"data": "./var", "routes": {"r": {"folders": "./r", "deliver": deliver}}}, base)
    settings.DROPSLOT = config  # receipts are signed with its key
    for name in folders:
        (base / name).mkdir(exist_ok=True)
    return config


def half_way(base: Path, config: Config, monkeypatch: pytest.MonkeyPatch, *away: str) -> Arrival:
    """Published at `a`, which was away before its manifest came; and at `b`, unless that was away, too."""
    publish = LocalDrop.publish

    def away_now(drop: LocalDrop, *args: Any) -> Any:
        if (name := Path(drop.target.url).name) in away and name != "a":
            raise DestinationUnready("It is away")
        done = publish(drop, *args)
        if name in away:
            raise DestinationUnready("It is away")
        return done

    arrival, holding = lying_in_processing(base)
    (holding / "scan/x.dat").write_bytes(b"1")
    (holding / "scan/y.dat").write_bytes(b"2")
    with monkeypatch.context() as patched:
        patched.setattr(LocalDrop, "publish", away_now)
        pipeline.deliver_arrivals(config, [arrival])
    return arrival


def fetched(kind: str, *, undone: bool = False) -> Delivery:
    now, row = datetime.now(UTC), Delivery.objects.get(place__url__endswith="/a", item="x.dat")
    if kind == "in part":
        PartialFetch.objects.create(delivery=row, user="c", first_at=now, last_at=now)
    else:
        at = now if kind == "undone" else None
        Acknowledgment.objects.create(
            id=new_id(),
            delivery=row,
            user="c",
            address="",
            at=now,
            log="",
            line=b"",
            recorded_at=now,
            undone_at=at,
        )
    return row


@pytest.mark.parametrize("kind", ["whole", "in part", "undone"])
@pytest.mark.parametrize("away", [("a",), ("a", "b")], ids=["the others are complete", "the others are not"])
def test_what_was_fetched_from_a_removed_destination_stays_known(
    database: Database,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    away: tuple[str],
    kind: str,
) -> None:
    arrival = half_way(tmp_path, to(tmp_path, settings, "a", "b"), monkeypatch, *away)
    row = fetched(kind)
    deliver_again(to(tmp_path, settings, "b"), arrival)
    assert arrival.state == State.DONE, arrival.reason
    rows = Delivery.objects.order_by("place__url", "item").values_list("place__url", "item")
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert [*rows] == [(a, "x.dat"), (b, "x.dat"), (b, "y.dat")]
    assert Delivery.objects.filter(pk=row.pk).exists()
    left = json.loads(Event.objects.get(kind="left-behind").data)
    assert left == {"destination": a, "count": 1, "files": [{"stored_as": "x.dat", "sha256": row.sha256}]}


def test_what_nobody_fetched_from_a_removed_destination_is_not_recorded(
    database: Database, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = half_way(tmp_path, to(tmp_path, settings, "a", "b"), monkeypatch, "a")
    deliver_again(to(tmp_path, settings, "b"), arrival)
    assert arrival.state == State.DONE, arrival.reason
    assert not Delivery.objects.filter(place__url=str(tmp_path / "a")).exists()
    assert not Event.objects.filter(kind="left-behind").exists()


def test_a_renamed_destination_gets_it_all_and_the_old_one_keeps_what_was_fetched(
    database: Database, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = half_way(tmp_path, to(tmp_path, settings, "a", "b"), monkeypatch, "a", "b")
    fetched("whole")
    deliver_again(to(tmp_path, settings, "c", "b"), arrival)
    assert arrival.state == State.DONE, arrival.reason
    assert Delivery.objects.filter(place__url=str(tmp_path / "c")).count() == 2
    assert Delivery.objects.filter(place__url=str(tmp_path / "a")).count() == 1
