"""Summaries: whom they go to, what they say, and the head of the trail in them."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from dropslot.audit import chain
from dropslot.config import Config
from dropslot.notify.channels.message import Notice
from dropslot.notify.channels.written import written
from dropslot.notify.digests.due_summaries import write_down_due
from dropslot.notify.models import DigestPeriod, Preference
from dropslot.notify.section import Notify
from dropslot.timestamps.section import Authority as TimestampAuthority
from portals import Site
from tsa import Authority

BOTH_DATABASES = True


class _Added(dict[str, Notice]):
    """Notices by whom they are for."""

    def __call__(self, user: Any | None, target: str, notice: Notice) -> None:
        self[user.get_username() if user else target] = notice


@pytest.fixture
def config(filled_site: Site) -> Config:
    """Of a day on which five arrivals came: of heart and lung, north, south and bad."""
    digest = {"daily": ["mailto:head@lab.example"]}
    Preference.objects.create(user=User.objects.get(username="stella"), digest="daily")
    Preference.objects.create(user=User.objects.get(username="olga"), digest="")
    return filled_site.config.model_copy(update={"notify": Notify.model_validate({"digest": digest})})


def test_each_gets_one_of_what_it_may_see(config: Config) -> None:
    tomorrow, added = timezone.now() + timedelta(days=1), _Added()
    assert write_down_due(config, added, tomorrow) == 2
    everything, of_heart = added["mailto:head@lab.example"], added["stella"]
    assert everything.values["rows"] == [
        {"about": "study", "received": 3, "delivered": 2, "refused": 1, "fetched": 0},
        {"about": "results", "received": 2, "delivered": 2, "refused": 0, "fetched": 0},
    ]
    assert [row["received"] for row in of_heart.values["rows"]] == [1]
    assert any(fact.about == "watcher" for fact in everything.facts)
    assert of_heart.facts == []
    made = f"{tomorrow.astimezone(config.zone):%Y-%m-%d %H:%M %Z}"
    assert f"What was late or wrong at {made}:" in written(None, everything, "01ABC").text
    assert f"Nothing was late or wrong at {made}." in written(None, of_heart, "01ABC").html
    assert write_down_due(config, added, tomorrow) == 0


def test_people_of_studies_get_what_the_rules_say_until_they_choose_themselves(config: Config) -> None:
    rules = {"digest": {"daily": ["study"], "weekly": ["study"]}}
    config = config.model_copy(update={"notify": Notify.model_validate(rules)})
    stella = User.objects.get(username="stella")

    def made() -> int:
        DigestPeriod.objects.all().delete()
        return write_down_due(config, _Added())

    Preference.objects.filter(user=stella).update(digest="", quiet="22:00-07:00")
    assert made() == 0, "she has no address"
    User.objects.filter(username="stella").update(email="stella@lab.example")
    assert made() == 2, "other hours are no choice of summaries"
    Preference.objects.filter(user=stella).update(digest="weekly")
    assert made() == 1
    Preference.objects.filter(user=stella).update(digest="", kinds=[])
    assert made() == 0, "nothing"


def test_what_is_not_written_down_is_due_again(config: Config) -> None:
    def fails(user: Any | None, target: str, notice: Notice) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        write_down_due(config, fails)
    assert not DigestPeriod.objects.exists()
    assert write_down_due(config, _Added()) == 2


def test_the_head_in_a_mail_is_proved_by_ssh_keygen(config: Config, tmp_path: Path) -> None:
    added = _Added()
    write_down_due(config, added)
    message = written(None, added["stella"], "01ABC")
    lines = message.text.splitlines()
    (statement,) = (line for line in lines if line.startswith("{"))
    begin, end = (lines.index(f"-----{word} SSH SIGNATURE-----") for word in ("BEGIN", "END"))
    signature, signers = tmp_path / "head.json.sig", config.keys / "allowed_signers"
    signature.write_text("\n".join(lines[begin : end + 1]) + "\n")
    command = f"ssh-keygen -Y verify -f {signers} -I dropslot -n dropslot -s {signature}"
    for text, status in ((statement, 0), (statement.replace('"seq":', '"seq":1'), 255)):
        done = subprocess.run(command.split(), input=f"{text}\n".encode(), capture_output=True, timeout=20)
        assert done.returncode == status, done.stderr
    assert json.loads(statement)["head"] == chain.head()._asdict()
    assert str(chain.head()) in lines


@pytest.mark.sqlite_only
def test_a_summary_has_the_head_stamped_and_is_sent_without_a_stamp_if_there_is_none(
    config: Config, tsa: Authority
) -> None:
    authority = {"url": tsa.url, "certificates": tsa.root}
    stamped = config.model_copy(update={"timestamp": TimestampAuthority.model_validate(authority)})
    tomorrow, added = timezone.now() + timedelta(days=1), _Added()
    tsa.fault = "500"
    assert write_down_due(stamped, added, tomorrow) == 2
    assert "time stamp" not in written(None, added["stella"], "01ABC").text
    tsa.fault, before = "", chain.head().seq
    assert write_down_due(stamped, added, tomorrow + timedelta(days=1)) == 2
    message = written(None, added["stella"], "01ABC")
    assert f"All up to event {before} has a time stamp of" in message.text and "time stamp of" in message.html
    assert f"{before + 1}:" in message.text  # the signed head covers the stamp, too
