"""Time stamps of the trail's head, by openssl's own authority: good ones are proof, all others change nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connection

from databases import Database
from dropslot.audit import chain, triggers
from dropslot.audit.chain import GENESIS, hash_of
from dropslot.audit.models import Event
from dropslot.audit.verifying import check_export
from dropslot.config import Config, from_mapping
from dropslot.keeping.fixity import ending
from dropslot.keeping.fixity.digest_reader import Reader
from dropslot.keeping.models import FixityRound
from dropslot.running.stopping import Signal
from dropslot.timestamps import doctor, process, stamp_request, stamping, trusted
from dropslot.timestamps.process import Turn
from dropslot.timestamps.stamping import stamp
from dropslot.timestamps.stamps import NotProven, Stamp, request_for
from dropslot.timestamps.verify_stamps import check
from product import Product
from trail import grow
from tsa import Authority

# What the authority does wrong, and a word of what is said about it.
FAULTS = {
    "expired": "expired",
    "stranger": "set `timestamp: certificates`",
    "replay": "not a valid time stamp",
    "refuses": "refused",
    "500": "500",
    "redirect": "302",
    "noise": "not a time stamp",
    "cut": "not a time stamp",
    "silent": "did not answer within 0 s",
    "drips": "did not answer within 0 s",
}


@pytest.fixture
def stamped(database: Database, tmp_path: Path, tsa: Authority) -> Config:
    """An installation with an authority, and a trail of ten events."""
    route = {"folders": "study", "deliver": [{"to": "./studies"}]}
    timestamp = {"url": tsa.url, "certificates": str(tsa.root)}
    grow(10)
    return from_mapping({"routes": {"study": route}, "timestamp": timestamp}, tmp_path)


def test_a_stamp_is_proof_for_verify_for_an_auditor_and_for_openssl(product: Product, tsa: Authority) -> None:
    product.configure(timestamp={"url": tsa.url, "certificates": str(tsa.root)})
    product.drop("scan", b"content")
    product.drain()
    assert "UTC by good" in product.run("timestamp").stdout
    assert product.run("timestamp").stdout == "Nothing has happened since the last stamp.\n"
    assert tsa.asked == 1
    (event,) = product.listing("events", "--kind", "timestamped")
    proven = f"Time stamps: 1: OK. All up to event {event['seq'] - 1} existed at {event['at'][:10]}"
    assert proven in product.run("verify").stdout

    export = product.root / "trail.jsonl"
    product.run("events", "--export", export)
    script = [sys.executable, "-I", "-S", check_export.__file__, str(export), "--tsa-certificates"]
    done = subprocess.run([*script, str(tsa.root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 time stamps; all up to event" in done.stdout, done.stdout
    stranger = subprocess.run(
        [*script, str(tsa.root.with_name("other.pem"))], capture_output=True, text=True, check=False
    )
    assert stranger.returncode == 1 and "is not valid: 'self-signed certificate" in stranger.stdout

    product.run("timestamp", "--out", product.root)
    head = product.root / f"{event['seq'] - 1}.head"
    options = ["-data", head, "-in", head.with_suffix(".tsr"), "-CAfile", tsa.root]
    subprocess.run(["openssl", "ts", "-verify", *map(str, options)], check=True, capture_output=True)


@pytest.mark.sqlite_only
def test_an_authority_that_errs_or_lies_changes_nothing_in_the_trail(
    stamped: Config, tsa: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamp_request, "ANSWER_SECONDS", 0.5)
    tsa.earlier = tsa.answer(request_for(chain.head()).as_bytes())  # of the same head, but not of our request
    for tsa.fault, words in FAULTS.items():
        monkeypatch.setattr(stamp_request, "WHOLE_SECONDS", 0.5 if tsa.fault == "drips" else 30.0)
        with pytest.raises(NotProven) as raised:
            stamp(stamped)
        assert words in str(raised.value) and "The trail is unchanged" in str(raised.value), tsa.fault
        assert "ErrorStack" not in str(raised.value)
    assert Event.objects.count() == 10
    (finding,) = doctor.findings(stamped)
    assert finding.level == "error"


@pytest.mark.sqlite_only
@pytest.mark.filterwarnings("error")
def test_the_roots_of_the_system_are_taken_without_a_word(stamped: Config) -> None:
    assert trusted.roots(stamped.model_copy(update={"timestamp": None}))


@pytest.mark.sqlite_only
def test_a_time_that_this_clock_contradicts_is_not_recorded(
    stamped: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Behind(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) - timedelta(hours=1)

    monkeypatch.setattr(stamp_request, "datetime", Behind)
    with pytest.raises(NotProven, match="here it is"):
        stamp(stamped)
    assert Event.objects.count() == 10


def _rewritten(change: dict[int, dict[str, str]]) -> None:
    """Somebody who may write everything changes events, and makes all hashes fit again."""
    with connection.schema_editor() as editor:
        triggers.drop(None, editor)
    previous = GENESIS.hash
    for event in Event.objects.order_by("seq"):
        for name, value in change.get(event.seq, {}).items():
            setattr(event, name, value)
        previous = event.hash = hash_of(previous, event.seq, event.at, event.kind, event.arrival, event.data)
        event.save()


@pytest.mark.sqlite_only
def test_a_trail_that_was_written_anew_contradicts_its_stamp(stamped: Config) -> None:
    stamp(stamped)
    assert check(stamped).ok
    _rewritten({3: {"data": '{"item":"another"}'}})
    (fault,) = check(stamped).faults
    assert fault.where == "time stamp in event 11" and "the chain was rewritten" in fault.what
    row = FixityRound.objects.create(began_at=datetime.now(UTC))
    with Reader() as reader:
        ending.end(stamped, row, reader, lambda: None)
    assert any("time stamp in event 11" in said for said in FixityRound.objects.get().said), "by itself, too"


@pytest.mark.sqlite_only
def test_a_stamp_that_was_dated_back_is_a_fault(stamped: Config) -> None:
    stamp(stamped)
    _rewritten({11: {"at": "2026-01-01T00:00:00.000000Z"}})
    (fault,) = check(stamped).faults
    assert "times in the trail were changed" in fault.what


@pytest.mark.sqlite_only
def test_the_process_stamps_once_waits_after_a_failure_and_health_says_that_it_is_late(
    stamped: Config, tsa: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Turn(stamped)
    tsa.fault = "500"
    turn.look()
    turn.look()
    assert tsa.asked == 1  # not again at once
    assert not [*doctor.late(stamped)]
    monkeypatch.setattr(doctor, "_too_long", lambda _: timedelta(0))
    (late,) = doctor.late(stamped)
    assert late.kind == "timestamp" and "has had none since" in late.what
    tsa.fault = ""
    turn = Turn(stamped)
    turn.look()
    grow(1)
    turn.look()  # something is new, but it is not a day later
    assert Event.objects.filter(kind="timestamped").count() == 1


@pytest.mark.sqlite_only
def test_what_happens_after_a_quiet_time_is_not_late_at_once(
    stamped: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp(stamped)
    last = stamping.newest()
    assert last is not None
    month_ago = last.at - timedelta(days=30)
    monkeypatch.setattr(stamping, "newest", lambda: last._replace(at=month_ago, has_more=True))
    grow(1)
    assert not [*doctor.late(stamped)]


@pytest.mark.sqlite_only
def test_what_happens_while_the_authority_is_asked_is_stamped_the_next_time(
    stamped: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = stamp_request.ask

    def slow(*asked: Any) -> Stamp:
        made = ask(*asked)
        grow(1)
        return made

    monkeypatch.setattr(stamp_request, "ask", slow)
    stamp(stamped)
    monkeypatch.undo()
    made = stamp(stamped)
    assert made is not None and made.head.seq == 12
    assert stamp(stamped) is None  # only the stamp itself is new


@pytest.mark.sqlite_only
@pytest.mark.parametrize("away", [DatabaseError, InterfaceError])
def test_a_database_that_is_away_does_not_end_the_process(
    stamped: Config, monkeypatch: pytest.MonkeyPatch, away: type[Exception]
) -> None:
    stop = Signal()

    def look(_: Turn) -> None:
        stop.set()
        raise away

    monkeypatch.setattr(Turn, "look", look)
    process.serve(stamped, stop)
