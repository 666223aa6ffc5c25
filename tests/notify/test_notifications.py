"""People are told once of what happens, by a real mail server: grouped, in time, and whatever ends in between."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from databases import Database
from dropslot.access import accounts
from dropslot.audit.models import Event
from dropslot.audit.signing_key import KEY
from dropslot.config import Config
from dropslot.config.secrets import make_private
from dropslot.notify.channels.message import Notice
from dropslot.notify.engine import alike, doctor, extra, make_message, turns, writing_down
from dropslot.notify.engine.whom import To
from dropslot.notify.models import GIVEN_UP, SENDING, WAITING, Group, Message, Preference
from news import OPS, configured, deliver, fail, notifier, over, tell, trouble
from postbox import Mailbox

BAD = "the name of {name} does not match"


@pytest.fixture
def box(make_mailbox: Callable[..., Mailbox]) -> Mailbox:
    return make_mailbox()


def subjects(box: Mailbox, to: str = "ops@lab.example") -> list[str]:
    return [str(letter.message["subject"]) for letter in box.letters if letter.to == [to]]


def told(box: Mailbox, to: str = "ops@lab.example") -> str:
    """All that somebody was written, as text."""
    letters = (letter for letter in box.letters if letter.to == [to])
    bodies = (letter.message.get_body(("plain",)) for letter in letters)
    return "\n".join(str(body.get_content()) for body in bodies if body)


def account(config: Config, name: str, role: str, **bounds: Any) -> User:
    user: User = accounts.add(
        config, accounts.Wanted(name, (role,), email=f"{name}@lab.example", **bounds)
    ).user
    return user


def events(kind: str) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in Event.objects.filter(kind=kind)]


def test_what_is_alike_is_one_message_and_the_trail_says_who_was_told(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], done=["mailto:lead@lab.example"])
    names = fail(BAD, count=37)
    deliver(count=2)
    tell(config)
    [subject] = subjects(box)
    assert "37 arrivals of route study failed for the same reason" in subject
    assert not [name for name in names if name in subject]
    assert names[0] in told(box)
    assert "2 arrivals of route study delivered" in subjects(box, "lead@lab.example")[0]
    [to_ops] = [one for one in events("notified") if one["to"] == OPS]
    assert to_ops["news"] == {"failed": 37}
    tell(config)
    assert len(box.letters) == 2


def test_several_things_are_one_message_that_names_the_worst_first(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], space=[OPS], trouble=[OPS], done=[OPS])
    trouble("watcher", "watcher", "it is not running")
    trouble("space", "disk of /to", "it is 91 % full", route="study")
    over("space", "disk of /to", "it is 91 % full", route="study")
    fail(BAD)
    deliver(count=3)
    tell(config)
    [subject] = subjects(box)
    assert "1 arrival of route study failed, and 4 other things" in subject
    body = told(box)
    lines = [
        "Watcher: it is not running",
        "Disk of /to: it is 91 % full",
        "No longer: disk of /to",
        "3 arrivals",
    ]
    times = re.findall(r"^  (from )?\d{4}-\d\d-\d\d \d\d:\d\d UTC\r$", body, re.MULTILINE)
    assert len(times) == 5 and "from " in times
    places = [body.index(line) for line in lines]
    assert places == sorted(places)


def test_a_route_has_rules_of_its_own(database: Database, tmp_path: Path, box: Mailbox) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], study={"failed": []})
    fail(BAD)
    fail(BAD, route="other")
    tell(config)
    [subject] = subjects(box)
    assert "route other" in subject


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.sqlite_only
def test_a_thousand_failures_in_a_minute_are_three_messages_at_most(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    usual: dict[str, Any] = {"gather": "5s", "every": "30s", "sender_address": "{owner}@lab.example"}
    config = configured(tmp_path, box.key, failed=[OPS, "sender"], **usual)
    at_work = notifier(config)
    for second in (*range(60), *range(60, 600, 10)):
        if second < 60:
            fail("reason " + "abcdefghij"[second % 10] * (second % 7 + 1), count=20 if second % 3 else 10)
        at_work.turn()
        at_work.record(5.0)
        clock.move(seconds=1 if second < 60 else 10)
    at_work.finish(5.0)
    for person in ("ops", "sam"):
        assert 1 <= len(subjects(box, f"{person}@lab.example")) <= 3
    told_of = [one["news"]["failed"] for one in events("notified") if one["to"] == OPS]
    assert sum(told_of) == 1000


@pytest.mark.sqlite_only
def test_reasons_without_end_make_no_message_without_end(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    for number in range(300):
        fail("reason " + "x" * number)
    tell(config)
    assert Group.objects.count() <= 51
    assert sum(one["news"]["failed"] for one in events("notified")) == 300
    assert "for several reasons" in told(box) + "".join(subjects(box))


@pytest.mark.sqlite_only
def test_quiet_hours_hold_everything_until_they_are_over(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], quiet="22:00-07:00")
    clock.move(hours=10, minutes=30)  # 22:30
    fail(BAD, count=2)
    at_work = notifier(config)
    for _ in range(9):
        at_work.turn()
        at_work.record(5.0)
        clock.move(hours=1)
        fail(BAD)
    assert not box.letters  # 07:30, and nothing was looked at since
    at_work.turn()
    at_work.finish(5.0)
    assert "11 arrivals" in subjects(box)[0]


@pytest.mark.sqlite_only
def test_what_was_due_before_quiet_hours_and_is_late_is_not_sent_in_them(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], quiet="22:00-07:00")
    clock.move(hours=9)  # 21:00
    fail(BAD)
    writing_down.write_down(config)
    clock.move(hours=2)  # the service was stopped meanwhile
    at_work = notifier(config)
    at_work.turn()
    at_work.finish(5.0)
    assert not box.letters
    clock.move(hours=9)
    tell(config)
    assert len(box.letters) == 1


def test_a_process_that_wakes_up_tells_nothing_that_another_one_has_taken(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    fail(BAD)
    writing_down.write_down(config)
    now = timezone.now()
    [turn] = turns.turns(config, now)
    assert make_message.mark(config, turn, "one", now) is not None
    assert make_message.mark(config, turn, "two", now) is None
    assert Message.objects.count() == 1


def test_of_many_troubles_those_that_are_over_are_counted_by_themselves(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, space=[OPS])
    for number in range(writing_down.MOST_HEAPS + 3):
        trouble("space", f"disk {number}", "full")
    for number in range(2):
        over("space", f"disk {number}", "full")
    writing_down.write_down(config)
    titles = {alike.title(writing_down.heap_of(To.place(OPS), row)) for row in Group.objects.all()}
    assert {"3 other troubles", "No longer: 2 other troubles"} <= titles


@pytest.mark.sqlite_only
def test_many_failures_lead_to_the_page_that_lists_them(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], done=[OPS])
    fail(BAD)
    fail(BAD)
    deliver()
    writing_down.write_down(config)
    heaps = [writing_down.heap_of(To.place(OPS), row) for row in Group.objects.order_by("pk")]
    links = [fact.link for fact in make_message.notice_of(heaps, "https://a.example", UTC).facts]
    assert links[0] == "https://a.example/arrivals/?state=failed&route=study"
    assert "/arrivals/" in links[1] and "?" not in links[1]


@pytest.mark.sqlite_only
def test_a_clock_that_is_set_back_makes_nobody_wait(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], every="1h")
    fail(BAD)
    tell(config)
    clock.move(days=-3)
    fail(BAD)
    tell(config)
    assert len(box.letters) == 2


@pytest.mark.sqlite_only
def test_a_place_that_config_yaml_names_no_more_is_not_told_and_no_trouble(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=["mailto:opps@lab.example", OPS])
    box.refuses = "450 try later"
    fail(BAD)
    tell(config)
    Message.objects.update(made_at=timezone.now() - 2 * doctor.LATE, due_at=timezone.now())
    assert "2 messages cannot be sent" in next(iter(doctor.late(config))).what
    assert not [*doctor.late(configured(tmp_path, box.key))]
    box.refuses = ""
    config = configured(tmp_path, box.key, failed=[OPS])
    tell(config)
    assert [letter.to for letter in box.letters] == [["ops@lab.example"]]
    assert Message.objects.get(state=GIVEN_UP).target == "mailto:opps@lab.example"
    assert not [*doctor.late(config)]


def test_a_place_that_refuses_for_good_is_a_trouble_until_it_takes_a_message(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    box.refuses = "550 no such user"
    fail(BAD)
    tell(config)
    (late,) = doctor.late(config)
    assert late.about == f"messages to {OPS}" and "550 no such user" in late.what
    assert not [*doctor.late(configured(tmp_path, box.key, failed=["mailto:others@lab.example"]))]
    box.refuses = ""
    fail(BAD)
    tell(config)
    assert len(box.letters) == 1 and not [*doctor.late(config)]


@pytest.mark.sqlite_only
def test_a_message_that_is_tried_again_does_not_wait_for_a_clock_that_was_set_back(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    box.refuses = "450 try later"
    fail(BAD)
    tell(config)
    assert not box.letters
    box.refuses = ""
    clock.move(days=-3)
    tell(config)
    assert len(box.letters) == 1


def test_what_a_server_does_not_take_is_told_once_it_does(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    box.refuses = "450 try later"
    fail(BAD)
    tell(config)
    assert not box.letters
    [row] = Message.objects.all()
    assert row.attempts == 1
    assert "450" in row.error
    assert any("450" in finding.what for finding in doctor.examine(config))
    Message.objects.update(made_at=timezone.now() - 2 * doctor.LATE)
    for state in (SENDING, WAITING):  # it is the same trouble while it is tried again
        Message.objects.update(state=state)
        (late,) = doctor.late(config)
        assert "1 message cannot be sent" in late.what
    box.refuses = ""
    fail(BAD)  # joins the message that waits
    Message.objects.update(due_at=timezone.now())
    tell(config)
    [subject] = subjects(box)
    assert "2 arrivals" in subject
    [event] = events("notified")
    assert event["attempts"] == 2


@pytest.mark.sqlite_only
def test_a_message_is_given_up_in_the_end_but_not_what_came_later(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], give_up="1h")
    box.refuses = "450 try later"
    fail(BAD)
    tell(config)
    clock.move(hours=2)
    fail(BAD, count=2)
    at_work = notifier(config)
    at_work.turn()
    at_work.record(5.0)
    assert Message.objects.get().state == GIVEN_UP
    [event] = events("not-notified")
    assert "450" in event["why"]
    box.refuses = ""
    at_work.turn()
    at_work.finish(5.0)
    assert "2 arrivals" in subjects(box)[0]


def test_what_a_crash_interrupted_is_not_sent_again_but_named(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS])
    fail(BAD, count=5)
    tell(config)
    # As if the process had ended after the server took the message, and before that was recorded.
    Message.objects.update(state=SENDING, ended_at=None, worker="the one that died")
    tell(config)
    first, second = box.letters
    assert first.message["message-id"] != second.message["message-id"]
    assert "5 arrivals of route study failed" in told(box).split("not known whether it arrived")[1]
    assert any("whether it arrived is not known" in finding.what for finding in doctor.examine(config))
    [event] = events("not-notified")
    assert event["news"] == {"failed": 5}
    tell(config)
    assert len(box.letters) == 2


def test_senders_and_people_of_a_study_are_told_of_theirs(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=["sender", "study"], sender_address="{owner}@os.example")
    account(config, "sam", "sender")
    account(config, "stella", "study-runner", studies=("heart",))
    account(config, "lars", "study-runner", studies=("lung",))
    fail(BAD, name="heart-1", fields={"study": "heart"})
    fail(BAD, name="lung-1", fields={"study": "lung"}, sender="pc17")
    fail(BAD, name="nobody-1", sender="not an address\r\nBcc: evil@example.org")
    tell(config)
    assert "heart-1" in told(box, "sam@lab.example")
    assert "heart-1" in told(box, "stella@lab.example")
    assert "lung-1" not in told(box, "stella@lab.example")
    assert "lung-1" in told(box, "lars@lab.example")
    assert "lung-1" in told(box, "pc17@os.example")
    assert len(box.letters) == 4


def test_people_of_a_study_are_told_that_it_is_out_of_space(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, space=["study"])
    account(config, "stella", "study-runner", studies=("heart",))
    account(config, "lars", "study-runner", studies=("lung",))
    account(config, "heike", "study-runner", studies=("site=heart",))  # the same value of another field
    trouble("space", "study heart", "it is out of space", route="study", study="heart")
    tell(config)
    assert [letter.to for letter in box.letters] == [["stella@lab.example"]]
    box.letters.clear()
    rules = [{"to": "./to/{site}/{study}", "space": {"of": "./to/{site}"}}]
    name = r"(?P<study>\w+)-(?P<site>\w+)"
    config = configured(tmp_path, box.key, space=["study"], route={"name": name, "deliver": rules})
    trouble("space", "site heart", "it is out of space", route="study", study="heart")
    tell(config)
    assert [letter.to for letter in box.letters] == [["heike@lab.example"]]


def test_people_choose_what_they_are_told_and_see_no_more_than_their_pages_show(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=["study"])
    olga = account(config, "olga", "operator", routes=("study",))
    stella = account(config, "stella", "study-runner", studies=("heart",))
    nils = account(config, "nils", "study-runner", studies=("heart",))
    away = account(config, "away", "operator")
    Preference.objects.create(user=olga, kinds=["failed", "done"], target="mailto:olga@home.example")
    Preference.objects.create(user=stella, kinds=["done"])
    Preference.objects.create(user=nils, kinds=None, quiet="")
    Preference.objects.create(user=away, kinds=["failed"])
    User.objects.filter(pk=away.pk).update(is_active=False)
    fail(BAD, name="heart-1", fields={"study": "heart"})
    fail(BAD, name="other-1", route="other")
    deliver(name="heart-2", fields={"study": "heart"})
    deliver(name="lung-2", fields={"study": "lung"})
    tell(config)
    assert {letter.to[0] for letter in box.letters} == {
        "olga@home.example",
        "stella@lab.example",
        "nils@lab.example",
    }
    of_olga = told(box, "olga@home.example")
    assert all(name in of_olga for name in ("heart-1", "heart-2", "lung-2"))
    assert "other-1" not in of_olga
    assert "heart-2" in told(box, "stella@lab.example")
    assert "lung-2" not in told(box, "stella@lab.example")
    assert "heart-1" not in told(box, "stella@lab.example")
    assert "heart-1" in told(box, "nils@lab.example")


@pytest.mark.sqlite_only
def test_a_key_that_cannot_be_used_holds_up_summaries_alone(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=[OPS], digest={"daily": ["mailto:head@lab.example"]})
    make_private(config.keys, config.data)
    (config.keys / KEY).write_text("no key")
    fail(BAD)
    tell(config)
    assert [letter.to for letter in box.letters] == [["ops@lab.example"]]


def test_an_account_that_lost_its_address_is_not_told_and_doctor_says_so(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    config = configured(tmp_path, box.key, failed=["sender"])
    account(config, "sam", "sender")
    fail(BAD)
    at_work = notifier(config)
    writing_down.write_down(config)
    User.objects.update(email="")
    at_work.turn()
    at_work.finish(5.0)
    assert not box.letters
    [event] = events("not-notified")
    assert event["account"] == "sam"
    assert any("no address" in finding.what for finding in doctor.examine(config))


def test_what_happened_before_anybody_was_to_be_told_is_not_told(
    database: Database, tmp_path: Path, box: Mailbox
) -> None:
    fail(BAD)
    config = configured(tmp_path, box.key, failed=[OPS])
    tell(config)
    assert not box.letters


@pytest.mark.sqlite_only
def test_a_summary_comes_each_morning_and_a_message_for_a_test_comes_in_quiet_hours(
    database: Database, tmp_path: Path, box: Mailbox, clock: Clock
) -> None:
    config = configured(tmp_path, box.key, digest={"daily": [OPS]}, quiet="05:00-07:00")
    tell(config)
    assert len(box.letters) == 1  # at noon, since there was none before
    clock.move(hours=17, minutes=30)  # 05:30
    extra.add_for(None, OPS, Notice("test", "A test"))
    tell(config)
    assert "A test" in subjects(box)[1]
    clock.move(minutes=45)  # 06:15: it is due, and the hours are quiet
    at_work = notifier(config)
    at_work.turn()
    assert len(box.letters) == 2
    clock.move(hours=1)
    at_work.turn()
    at_work.finish(5.0)
    assert len(box.letters) == 3
