"""What bad input gets: refused whole, with a reason that names the item, and nothing outside is touched.

All of it comes at once, in one drain beside good arrivals; each test looks at one side of what became of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hostility import DEEP, GOOD, HARMLESS, SECRET, Hostile, depth_of, everything, look_of, plant_outside
from mounts import Mounts
from product import STUDY, Ended, Product, write_tree

pytestmark = pytest.mark.xdist_group("hostile-input")

ALL = {hostile.key: hostile for hostile in everything()}
PATTERN = r"x_(?P<study>[^_]+)_.*"
ROUTES = {
    "study": STUDY,
    "small": STUDY | {"folders": "./small", "deliver": [{"to": "./little"}]},
    "field": STUDY | {"folders": "./field", "name": PATTERN, "deliver": [{"to": "./fields/{study}/raw"}]},
}
FIELD_VALUES = ("..", ".", ".dropslot", ".hidden", "bad\nvalue")
# Controls but the newline, marks that turn text around or break lines, and bytes that are no UTF-8.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass
class Story:
    """What the commands said, in order, about one product into which everything was dropped."""

    product: Product
    outside: Path
    outside_before: dict[str, tuple[object, ...]]
    said: dict[str, Ended] = field(default_factory=dict)
    failed_before_retry: dict[str, set[str]] = field(default_factory=dict)

    def say(self, key: str, *args: str, status: int | None = 0) -> Ended:
        self.said[key] = self.product.run(*args, status=status)
        return self.said[key]

    def arrival(self, name: str) -> dict[str, Any]:
        [found] = [row for row in self.said["arrivals --json"].objects if row["name"] == name]
        return found

    def folder(self, hostile: Hostile) -> Path:
        """failed/ID of a refused arrival, found by its bytes: names for people are escaped."""
        failed = self.product.folder("failed", hostile.route)
        [found] = [path for path in failed.iterdir() if os.path.lexists(path / hostile.name)]
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("hostile")
    mounts = Mounts(tmp_path_factory.mktemp("mounts"))
    outside = plant_outside(root)
    product = Product(root)
    product.begin_with(sqlite_template)
    little = mounts.tmpfs("16m")
    routes = ROUTES | {"small": ROUTES["small"] | {"deliver": [{"to": str(little)}]}}
    product.configure(routes)
    (root / "fields").mkdir()
    try:
        _drop_everything(product, outside)
        yield _told(Story(product, outside, look_of(outside)))
    finally:
        product.close()
        mounts.close()
        # Not by pytest, whose rmtree recurses into the thousand levels.
        subprocess.run(["rm", "-rf", root], check=True)


def _drop_everything(product: Product, outside: Path) -> None:
    aside = product.root / "aside"
    for hostile in ALL.values():
        hostile.build(aside, outside)
        os.rename(aside, product.folder("inbox", hostile.route) / hostile.name)
    product.drop("harmless", {name: name.encode() for name in HARMLESS})
    for name in (n for n in HARMLESS if not n.startswith(".")):
        product.drop(f"-{name[:250]}", b"single " + name.encode())
    product.drop(".dropslot", {"manifests/x": b"x"})  # a hidden name is a temporary one
    for value in FIELD_VALUES:
        product.drop(f"x_{value}_1", {"a.txt": b"1"}, route="field")
    product.drop("no-match", {"a.txt": b"1"}, route="field")
    write_tree(product.folder("done") / "good", {"already": b"there"})
    (product.folder("done") / "linked").symlink_to(outside / "folder")
    product.drop("good", {"good.txt": GOOD})
    product.drop("linked", {"linked.txt": GOOD})


def _told(story: Story) -> Story:
    story.say("drain", "drain", "--now", status=1)
    refused = story.say("arrivals --json", "arrivals", "--state", "failed", "--json").objects
    story.failed_before_retry = {row["id"]: _entries(story.product, row) for row in refused}
    for command in ("arrivals", "pending", "events", "history", "doctor"):
        story.say(command, command, status=None)
    story.say("pending --json", "pending", "--json")
    story.say("events --json", "events", "--json")
    story.say("history --json", "history", "--json")
    story.say("search --json", "history", "--json", "--search", ".txt")
    story.say("odd search --json", "history", "--json", "--search", "%s%n")
    [good] = [row for row in story.said["search --json"].objects if row["name"] == "good"]
    story.say("id search --json", "history", "--json", "--search", good["arrival"].lower())
    story.say("retry", "retry", *(row["id"] for row in refused))
    story.say("drain again", "drain", "--now", status=1)
    story.say("arrivals again", "arrivals", "--state", "failed", "--json")
    story.say("purge", "purge", "--older-than", "0s", "--yes")
    story.say("verify", "verify", "--fixity")
    return story


def _entries(product: Product, row: dict[str, Any]) -> set[str]:
    return set(os.listdir(product.folder("failed", row["route"]) / row["id"]))


@pytest.mark.parametrize("key", ALL)
def test_is_refused_whole_with_a_reason_that_names_the_item(story: Story, key: str) -> None:
    hostile = ALL[key]
    folder = story.folder(hostile)
    [row] = [row for row in story.said["arrivals --json"].objects if row["id"] == folder.name]
    assert row["state"] == "failed"
    assert any(hostile.names in reason and hostile.why in reason for reason in row["reason"]), row["reason"]
    reason = (folder / "REASON.txt").read_text()
    assert hostile.names in reason and row["id"] in reason
    assert not UNSAFE.search(reason)
    if (folder / hostile.name / "a-good.txt").exists():
        assert (folder / hostile.name / "a-good.txt").read_bytes() == GOOD


def test_only_what_is_good_is_delivered(story: Story) -> None:
    delivered = story.product.delivered()
    wanted = {name: name.encode() for name in HARMLESS}
    wanted |= {f"-{n[:250]}": b"single " + n.encode() for n in HARMLESS if not n.startswith(".")}
    wanted |= {"good.txt": GOOD, "linked.txt": GOOD}
    assert delivered == wanted
    assert not any((story.product.root / "fields").iterdir())
    assert not any(SECRET in data for data in delivered.values())
    assert not (story.product.root / "pwned").exists(), "a name was run as a command"


def test_nothing_outside_was_touched(story: Story) -> None:
    assert look_of(story.outside) == story.outside_before


def test_trees_that_no_path_reaches_lie_whole_in_failed(story: Story) -> None:
    for key, depth in (("deep", DEEP), ("long-path", 25)):
        assert depth_of(story.folder(ALL[key]) / key) == depth


@pytest.mark.parametrize("value", FIELD_VALUES)
def test_field_value_that_is_no_safe_path_part_is_refused(story: Story, value: str) -> None:
    name = f"x_{value}_1".replace("\n", "\\x0a")
    row = story.arrival(name)
    assert any("field study" in reason for reason in row["reason"]) or "\\x0a" in str(row["reason"])


def test_name_that_does_not_match_is_refused_with_the_pattern(story: Story) -> None:
    assert any(PATTERN in reason for reason in story.arrival("no-match")["reason"])


def test_name_that_done_holds_already_is_archived_beside_it(story: Story) -> None:
    done = story.product.folder("done")
    assert (done / "good/already").read_bytes() == b"there"
    assert (done / "linked").is_symlink()
    archived = {row["item"]: Path(row["archived_as"]) for row in story.said["search --json"].objects}
    for name in ("good", "linked"):
        assert archived[f"{name}.txt"].is_relative_to(done / ".again")


def test_search_finds_text_that_means_something_to_a_database_or_shell(story: Story) -> None:
    assert {row["item"] for row in story.said["odd search --json"].objects} == {"%s%n%x", "-%s%n%x"}
    [row] = story.said["id search --json"].objects
    assert row["item"] == "good.txt"


def test_hidden_name_waits_in_the_inbox_as_a_temporary_one(story: Story) -> None:
    [row] = [row for row in story.said["pending --json"].objects if row["name"] == ".dropslot"]
    assert row["where"] == "inbox" and "temporary" in row["reason"][0]
    assert (story.product.folder("inbox") / ".dropslot").is_dir()


def test_no_command_prints_a_byte_that_acts_on_a_terminal(story: Story) -> None:
    for key, ended in story.said.items():
        assert not UNSAFE.search(ended.stdout + ended.stderr), key


def test_json_of_every_listing_is_valid_line_by_line(story: Story) -> None:
    for key, ended in story.said.items():
        if "--json" in key:
            assert all(isinstance(json.loads(line), dict) for line in ended.stdout.splitlines()), key
    assert len(story.said["arrivals --json"].objects) == len(ALL) + len(FIELD_VALUES) + 1


def test_log_files_hold_no_control_bytes(story: Story) -> None:
    for log in (story.product.root / "var").rglob("*"):
        if log.is_file() and log.suffix in (".log", ".out", ".err", ".jsonl"):
            assert not UNSAFE.search(log.read_text(errors="surrogateescape")), log


def test_retry_of_all_of_them_refuses_them_again_and_keeps_them_whole(story: Story) -> None:
    again = story.said["arrivals again"].objects
    assert {row["id"] for row in again} == set(story.failed_before_retry)
    for row in again:
        assert _entries(story.product, row) == story.failed_before_retry[row["id"]]
    first = {row["id"]: row["reason"] for row in story.said["arrivals --json"].objects}
    assert {row["id"]: row["reason"] for row in again} == first


def test_purge_empties_done_and_keeps_what_failed(story: Story) -> None:
    assert " 0 kept" in story.said["purge"].stdout
    left = {path.name for path in story.product.folder("done").iterdir()} - {".again"}
    assert left == {"good", "linked"}, "what dropslot did not put there is not its own to remove"


def test_trail_and_stored_files_are_well_afterwards(story: Story) -> None:
    assert story.said["verify"].stdout.count("OK") == 2


def test_nothing_is_left_in_processing_or_staging(story: Story) -> None:
    for route in ROUTES:
        assert not story.product.held(route)
    assert not list(story.product.studies.rglob(".dropslot/stage"))
