"""What a person does with a refused arrival: another name, an end for good, and making room in failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from at_once import run_at_once
from product import STUDY, Product

NAMED: dict[str, Any] = STUDY | {
    "name": r"(?P<study>\w+)-(?P<location>\w+)-(?P<sent>\w+)",
    "name_help": "Name it STUDY-PC-VISIT, for instance heart-pc17-visit1.",
    "deliver": [{"to": "./studies/{study}-{sent}"}],
}


@pytest.fixture
def refused(make_product: Callable[..., Product]) -> Product:
    """One folder was refused for its name."""
    product = make_product().configure({"study": NAMED}, locations={"pc17": "Brogden A"})
    product.drop("heart visit1", {"pulse.txt": b"72"})
    product.drain(status=1)
    return product


def only(product: Product) -> dict[str, Any]:
    [arrival] = product.arrivals()
    return arrival


def test_the_rule_in_words_comes_before_the_pattern(refused: Product) -> None:
    [reason] = only(refused)["reason"]
    assert reason.startswith(
        "The name heart visit1 does not match. Name it STUDY-PC-VISIT, for instance heart"
    )
    assert reason.endswith(f"(pattern {NAMED['name']})")
    text = (refused.folder("failed") / only(refused)["id"] / "REASON.txt").read_text()
    assert f"dropslot retry {only(refused)['id']} -c {refused.config}\n" in text
    assert f"dropslot retry {only(refused)['id']} -c {refused.config} --name NEW-NAME\n" in text
    assert f"dropslot dismiss {only(refused)['id']} -c {refused.config} --reason 'WHY'\n" in text


@pytest.mark.parametrize("renamed_by_hand", ["", "something else"])
def test_retry_under_another_name_delivers_and_the_trail_keeps_both(
    refused: Product, renamed_by_hand: str
) -> None:
    arrival = only(refused)
    folder = refused.folder("failed") / arrival["id"]
    if renamed_by_hand:
        (folder / "heart visit1").rename(folder / renamed_by_hand)
        (folder / ".DS_Store").write_bytes(b"")
    refused.run("retry", arrival["id"][:22], "--name", "heart-pc17-visit1")
    refused.drain()
    assert refused.delivered() == {"heart-visit1/pulse.txt": b"72"}
    assert (refused.folder("done") / "heart-pc17-visit1/pulse.txt").exists()
    assert not any(refused.folder("failed").iterdir())
    [row] = refused.history()
    assert (row["name"], row["location"], row["fields"]["sent"]) == (
        "heart-pc17-visit1",
        "Brogden A",
        "visit1",
    )
    [event] = refused.listing("events", "--kind", "renamed")
    assert (event["data"]["from"], event["data"]["to"]) == ("heart visit1", "heart-pc17-visit1")
    assert event["data"]["by"]


def test_what_was_renamed_inside_failed_is_found_by_retry(refused: Product) -> None:
    arrival = only(refused)
    folder = refused.folder("failed") / arrival["id"]
    (folder / "heart visit1").rename(folder / "heart-pc17-visit1")
    assert "(heart-pc17-visit1) is ready" in refused.run("retry", arrival["id"]).stdout
    refused.drain()
    assert refused.delivered() == {"heart-visit1/pulse.txt": b"72"}
    assert len(refused.listing("events", "--kind", "renamed")) == 1


def test_a_name_that_would_be_refused_again_changes_nothing(refused: Product) -> None:
    arrival = only(refused)
    names = (
        "../x-y-z",
        "nodash",
        ".a-b-c",
        "REASON.txt",
        "a-b-c/d",
        "a-b-\x1b",
        "x" * 300,
        "a-b-c.part",
        "..",
    )
    for ended in run_at_once(refused, *(("retry", arrival["id"], "--name", name) for name in names)):
        assert ended.status == 2 and "Nothing was changed." in ended.stderr and "\x1b" not in ended.stderr
    assert only(refused) == arrival
    (refused.folder("failed") / arrival["id"] / "heart visit1").rename(
        refused.folder("failed") / arrival["id"] / "no"
    )
    assert "does not match. Name it" in refused.run("retry", arrival["id"], status=2).stderr


def test_two_entries_in_failed_are_not_guessed_among(refused: Product) -> None:
    folder = refused.folder("failed") / only(refused)["id"]
    (folder / "heart visit1").rename(folder / "heart-pc17-visit1")
    (folder / "heart-pc17-visit2").mkdir()
    assert (
        "not clear which of them is the arrival" in refused.run("retry", only(refused)["id"], status=2).stderr
    )


@pytest.mark.parametrize("name", ["REASON.txt", "bad\udcff"])
def test_a_file_of_any_name_gets_another_one(sqlite_product: Product, name: str) -> None:
    product = sqlite_product.configure({"study": STUDY | {"name": r"scan\d"}})
    product.drop(name, b"voxels")
    product.drain(status=1)
    product.run("retry", only(product)["id"], "--name", "scan1")
    product.drain()
    assert product.delivered() == {"scan1": b"voxels"}
    assert [path.name for path in product.folder("done").iterdir()] == ["scan1"]
    assert not product.held()


def test_a_dismissed_arrival_is_ended_for_good_as_an_event(refused: Product) -> None:
    arrival = only(refused)
    empty, *dismissed = run_at_once(
        refused,
        ("dismiss", arrival["id"], "--reason", " "),
        ("dismiss", arrival["id"], "--reason", "a trial\x1b"),
        ("dismiss", arrival["id"], "--reason", "again"),
        ("retry", arrival["id"]),
        ("retry", arrival["id"], "--name", "heart-pc17-visit1"),
    )
    assert empty.status == 2
    assert [one.status for one in dismissed] == [0, 1, 1, 1]
    assert all(r"a trial\x1b" in one.stderr for one in dismissed[1:])
    assert only(refused)["state"] == "failed"
    assert r"a trial\x1b" in only(refused)["reason"][-1]
    [event] = refused.listing("events", "--kind", "dismissed")
    assert event["data"]["reason"] == r"a trial\x1b" and event["data"]["by"]
    folder = refused.folder("failed") / arrival["id"]
    assert (folder / "heart visit1/pulse.txt").exists()
    text = (folder / "REASON.txt").read_text()
    assert "dropslot retry" not in text and "not retried" in text and "does not match" in text
    assert rf"UTC by {event['data']['by']}: a trial\x1b" in text
    refused.run("purge", "--failed", "--older-than", "0s", "--yes")
    said = refused.run("retry", arrival["id"], status=1).stderr
    assert "was removed from failed" in said and "from failed to the inbox" not in said


def test_only_what_failed_can_be_dismissed(sqlite_product: Product) -> None:
    sqlite_product.drop("good", b"1")
    sqlite_product.drain()
    said = sqlite_product.run("dismiss", only(sqlite_product)["id"], "--reason", "x", status=1)
    assert "is done, not failed" in said.stderr


def test_purge_of_failed_removes_only_what_was_dismissed_or_delivered_later(refused: Product) -> None:
    product = refused
    for name, content in (("other", b"73"), ("ended", b"74"), ("changed", b"75")):
        product.drop(name, {"pulse.txt": content})
    product.drain(status=1)
    product.drop("heart-pc17-visit1", {"pulse.txt": b"72"})
    product.drop("heart-pc17-visit9", {"pulse.txt": b"75"})
    product.drain()
    (product.studies / "heart-visit9/pulse.txt").write_bytes(b"XX")
    ids = {row["name"]: row["id"] for row in product.arrivals()}
    product.run("dismiss", ids["ended"], "--reason", "a trial")
    purge = ("purge", "--failed", "--older-than")
    young, unsure, dry, done, again = run_at_once(
        product,
        (*purge, "1d"),
        (*purge, "0s"),
        (*purge, "0s", "--dry-run"),
        (*purge, "0s", "--yes"),
        (*purge, "0s", "--yes"),
    )
    assert "0 arrivals removed from failed" in young.stdout and unsure.status == 2
    assert "2 arrivals would be removed from failed" in dry.stdout
    assert "2 arrivals removed from failed" in done.stdout and "2 kept" in done.stdout and done.status == 1
    assert (
        ids["other"] in done.stderr and ids["changed"] in done.stderr and "missing or changed" in done.stderr
    )
    assert "0 arrivals removed" in again.stdout
    assert {path.name for path in product.folder("failed").iterdir()} == {ids["other"], ids["changed"]}
    because = [event["data"]["because"] for event in product.listing("events", "--kind", "purged")]
    assert (
        because == [f"delivered by arrival {ids['heart-pc17-visit1']}", because[1]]
        and "a trial" in because[1]
    )
    assert "removed from failed" in product.run("retry", ids["heart visit1"], status=1).stderr


def test_an_age_below_a_day_must_be_meant(sqlite_product: Product) -> None:
    sqlite_product.drop("kept", b"1")
    sqlite_product.drain()
    refusals = run_at_once(sqlite_product, *(("purge", "--older-than", age) for age in ("0s", "23h", "0d")))
    assert all(one.status == 2 and "Add --yes" in one.stderr for one in refusals)
    assert (sqlite_product.folder("done") / "kept").exists()
    assert "0 arrivals removed" in sqlite_product.run("purge", "--older-than", "1d").stdout
    assert json.loads(sqlite_product.run("arrivals", "--json").stdout)["state"] == "done"
    assert "1 arrival removed" in sqlite_product.run("purge", "--older-than", "0s", "--yes").stdout


def test_what_is_to_be_run_again_waits_for_who_runs_it(refused: Product) -> None:
    arrival = only(refused)
    assert refused.run("retry", arrival["id"], "--name", "", status=2).stdout == ""
    assert only(refused) == arrival
    told = refused.run("retry", arrival["id"], "--name", "heart-pc17-visit1").stdout
    assert "is ready: the service, or the next `dropslot drain`, runs it" in told
    [row] = refused.listing("pending")
    assert row["reason"] == ["waits for the service or `dropslot drain`"]
