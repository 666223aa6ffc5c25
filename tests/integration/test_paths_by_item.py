"""Paths that differ by item: each item of a folder goes where its own fields say, and the arrival stays whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import bagit
import pytest

from pdfs import pdf
from product import STUDY, Product, read_tree, write_tree
from sshd import Sshd

PDF = pdf("a report")
TEXT, MORE = b"some text", b"some more text"
MIXED = {"a.pdf": PDF, "notes/b.txt": TEXT, "notes/c.pdf": PDF, "notes/later/": b"", "later/": b""}
BY_TYPE = {"deliver": [{"to": "./studies/{mime}"}]}

FIRST_WORD = """
from dropslot.core.errors import Refused
from dropslot.fields.base import ItemField

class FirstWord(ItemField):
    gives = frozenset({"word"})

    def values(self, item, known):
        if item.name == "refused":
            raise Refused(["nobody wants it"])
        with item.open() as stream:
            word = stream.read(100).split(b" ")[0].decode()
        return {"word": word} if word else None

class Careless(FirstWord):
    def values(self, item, known):
        return {"other": "value"}

class Says(FirstWord):
    gives = None

class Repeats(FirstWord):
    gives = frozenset({"study"})

class Counts(FirstWord):
    def values(self, item, known):
        from pathlib import Path
        count = Path(self.option)
        number = int(count.read_text() or 0) if count.exists() else 0
        count.write_text(str(number + 1))
        return {"word": f"{super().values(item, known)['word']}{number}"}

class Rewrites(FirstWord):
    def values(self, item, known):
        from pathlib import Path
        found = super().values(item, known)
        mark = Path(self.option) / "mark"
        if not mark.exists():
            mark.touch()
            (file,) = Path(self.option).glob(f"study/processing/*/*/{item.name}")
            file.write_bytes(b"two words")
        return found
"""


@pytest.fixture
def with_plugin(product: Product) -> Callable[..., Product]:
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "words.py").write_text(FIRST_WORD)

    def configure(to: str = "./studies/{word}", field: str = "FirstWord", **more: Any) -> Product:
        rule = {"to": to} | more.pop("rule", {})
        fields = [{f"words.{field}": str(product.root / more.pop("option", ""))}]
        return product.configure({"study": STUDY | {"fields": fields, "deliver": [rule]} | more})

    return configure


def reasons(product: Product) -> list[str]:
    return [reason for row in product.arrivals("--state", "failed") for reason in row["reason"]]


@pytest.mark.sqlite_only
def test_each_item_of_a_folder_goes_to_the_folder_of_its_type(product: Product) -> None:
    product.configure({"study": STUDY | BY_TYPE}).drop("mixed", MIXED)
    product.drain()
    assert product.delivered() == {
        "application-pdf/a.pdf": PDF,
        "application-pdf/notes/c.pdf": PDF,
        "text-plain/notes/b.txt": TEXT,
    }
    (arrival,) = product.arrivals()
    assert (arrival["state"], arrival["items"]) == ("done", 3)
    rows = {row["item"]: row for row in product.history()}
    assert {item: row["destination"] for item, row in rows.items()} == {
        "a.pdf": str(product.studies / "application-pdf"),
        "notes/b.txt": str(product.studies / "text-plain"),
        "notes/c.pdf": str(product.studies / "application-pdf"),
    }
    assert rows["notes/b.txt"]["mime"] == "text/plain"
    assert len(product.manifests()) == 2
    assert not list(product.studies.rglob("stage"))
    product.run("verify", "--fixity")


@pytest.mark.sqlite_only
def test_an_empty_folder_goes_with_the_first_item_of_the_folder_that_it_is_in(product: Product) -> None:
    product.configure({"study": STUDY | BY_TYPE}).drop("mixed", MIXED)
    product.drain()
    assert (product.studies / "application-pdf/later").is_dir()
    assert (product.studies / "text-plain/notes/later").is_dir()
    assert not (product.studies / "text-plain/later").exists()
    assert not (product.studies / "application-pdf/notes/later").exists()


def test_new_and_existing_targets_get_versions_of_their_own(product: Product) -> None:
    (product.studies / "text-plain").mkdir()
    (product.studies / "text-plain" / "b").write_bytes(b"from before dropslot")
    product.configure({"study": STUDY | BY_TYPE})
    for content in (TEXT, MORE, PDF, MORE):
        product.drop("s", {"a": PDF, "b": content})
        product.drain()
    assert product.delivered() == {
        "application-pdf/a": PDF,
        "application-pdf/b": PDF,
        "text-plain/b": b"from before dropslot",
        "text-plain/b.v2": TEXT,
        "text-plain/b.v3": MORE,
    }
    assert [row["outcome"] for row in product.history()][-2:] == ["unchanged"] * 2
    newest = {
        (row["destination"], row["item"]): row["stored_as"] for row in product.listing("latest", "study")
    }
    assert newest == {
        (str(product.studies / "application-pdf"), "a"): "a",
        (str(product.studies / "application-pdf"), "b"): "b",
        (str(product.studies / "text-plain"), "b"): "b.v3",
    }


@pytest.mark.sqlite_only
def test_a_field_of_ones_own_reads_the_items(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin("./studies/{word}/raw", rule={"must_exist": "./studies/{word}"})
    for folder in ("one", "two"):
        (product.studies / folder).mkdir()
    product.drop("s", {"x": b"one 1", "deep/y": b"two 2", "deep/z": b"one 3"})
    product.drain()
    assert product.delivered() == {
        "one/raw/x": b"one 1",
        "one/raw/deep/z": b"one 3",
        "two/raw/deep/y": b"two 2",
    }
    product.drop("lone", b"two files")
    product.drain()
    assert product.history("--search", "lone")[0]["fields"] == {"word": "two"}


@pytest.mark.sqlite_only
def test_one_refused_item_refuses_all_with_every_reason(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin()
    product.drop(
        "s", {"good": b"one 1", "refused": b"two", "empty": b"", "path": b"../up 1", "path2": b".. 2"}
    )
    product.drain(status=1)
    assert product.delivered() == {} and not list(product.studies.iterdir())
    found = sorted(reasons(product))
    assert [reason.partition(": ")[0] for reason in found] == ["empty", "path2", "path", "refused"]
    assert "words.FirstWord has no value" in found[0]
    assert "not a safe path component" in found[1]
    assert found[3] == "refused: nobody wants it"


@pytest.mark.sqlite_only
def test_a_folder_that_must_exist_for_one_item_refuses_all(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin(rule={"must_exist": "./studies/{word}"})
    (product.studies / "one").mkdir()
    product.drop("s", {"x": b"one 1", "y": b"two 2", "z": b"three 3"})
    product.drain(status=1)
    assert product.delivered() == {}
    assert sorted(reason.split(" ")[0] for reason in reasons(product)) == [
        str(product.studies / "three"),
        str(product.studies / "two"),
    ]


@pytest.mark.sqlite_only
def test_one_folder_with_two_groups_refuses_the_arrival(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin("./studies/{date}", rule={"group": "{word}"})
    product.drop("s", {"x": b"one 1", "y": b"two 2"})
    product.drain(status=1)
    (reason,) = reasons(product)
    assert "different" in reason and "group" in reason


@pytest.mark.sqlite_only
def test_two_entries_that_lead_to_one_folder_refuse_the_arrival(product: Product) -> None:
    (product.studies / "text-plain").mkdir()
    deliver = [{"to": "./studies/{mime}"}, {"to": "./studies/text-plain"}]
    product.configure({"study": STUDY | {"deliver": deliver}}).drop("s", {"x": TEXT})
    product.drain(status=1)
    assert "lead to the same folder" in reasons(product)[0]


@pytest.mark.sqlite_only
def test_what_was_read_for_the_path_is_what_is_staged(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin(field="Rewrites")
    product.drop("s", {"x": b"one word", "y": b"one"})
    product.drain()
    assert product.delivered() == {"two/x": b"two words", "one/y": b"one"}
    retried = product.listing("events", "--kind", "retrying")
    assert len(retried) == 1


@pytest.mark.parametrize(
    ("field", "words"),
    [("Careless", "other"), ("Says", "gives"), ("Repeats", "study")],
)
@pytest.mark.sqlite_only
def test_mistakes_of_a_field_are_told(with_plugin: Callable[..., Product], field: str, words: str) -> None:
    product = with_plugin(field=field, name=r"(?P<study>.*)")
    product.drop("s", {"x": b"one 1"})
    ended = product.drain(status=None)
    told = f"{ended.stdout}{ended.stderr}{product.run('pending', '--json', status=None).stdout}"
    assert f"words.{field}" in told and words in told
    assert product.delivered() == {}


@pytest.mark.sqlite_only
def test_an_unknown_field_is_told_at_start(with_plugin: Callable[..., Product]) -> None:
    product = with_plugin("./studies/{wrod}")
    assert "wrod" in product.drain(status=2).stderr


@pytest.mark.sqlite_only
def test_a_bag_is_checked_whole_and_its_payload_goes_by_item(product: Product) -> None:
    product.configure({"study": STUDY | BY_TYPE | {"checks": [{"bag": True}]}})
    sent = write_tree(product.root / "sent", {"a.pdf": PDF, "deep/b": TEXT})
    bagit.make_bag(str(sent), checksums=["sha256"])
    product.drop_copy(sent, "bag")
    product.drain()
    assert product.delivered() == {"application-pdf/a.pdf": PDF, "text-plain/deep/b": TEXT}


def test_a_delivery_that_was_cut_in_two_is_finished_at_the_same_places(
    with_plugin: Callable[..., Product],
) -> None:
    """The field would give other values in each attempt."""
    product = with_plugin(field="Counts", option="count")
    product.drop("s", {"x": b"one 1", "y": b"two 2"})
    blocked = product.studies / "two1" / ".dropslot"
    blocked.mkdir(parents=True)
    (blocked / "manifests").touch()
    product.drain(status=None)
    (arrival,) = product.arrivals()
    assert arrival["state"] == "retrying"
    assert not product.manifests()
    (blocked / "manifests").unlink()
    product.run("retry", arrival["id"])
    product.drain()
    assert product.delivered() == {"one0/x": b"one 1", "two1/y": b"two 2"}
    assert (product.root / "count").read_text() == "2"
    assert len(product.manifests()) == 2
    assert not list(product.studies.rglob("stage"))
    product.run("verify", "--fixity")


@pytest.mark.sqlite_only
def test_staging_of_an_attempt_with_other_values_is_removed(with_plugin: Callable[..., Product]) -> None:
    """An attempt that was killed while it staged, as its database and folders are then."""
    root = with_plugin().root
    product = with_plugin(field="Counts", option="count", checks=[{"words.Stops": str(root)}])
    product.drop("s", {"x": b"one 1"})
    (product.root / "plugins" / "words.py").write_text(FIRST_WORD + STOPS)
    product.drain(status=None)
    assert list(product.studies.rglob("stage"))
    product.drain()
    assert list(product.delivered()) == ["one1/x"]
    assert not list(product.studies.rglob("stage"))


STOPS = """
import os, signal
from pathlib import Path
from dropslot.checks.base import Check

class Stops(Check):
    def check(self, arrival):
        mark = Path(self.option) / "stopped"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ()
"""


@pytest.mark.sqlite_only
def test_purge_removes_what_is_proved_at_the_place_of_each_item(product: Product) -> None:
    product.configure({"study": STUDY | BY_TYPE}).drop("mixed", MIXED)
    product.drain()
    (product.studies / "text-plain/notes/b.txt").write_bytes(b"changed")
    product.run("purge", "--older-than", "0s", "--yes", status=1)
    assert (product.folder("done") / "mixed/a.pdf").exists()
    (product.studies / "text-plain/notes/b.txt").write_bytes(TEXT)
    product.run("purge", "--older-than", "0s", "--yes")
    assert not (product.folder("done") / "mixed").exists()


@pytest.mark.parametrize("receipts", [True, False])
def test_rebuild_reads_the_parts_back(make_product: Callable[..., Product], receipts: bool) -> None:
    product = make_product().configure({"study": STUDY | BY_TYPE})
    product.drop("mixed", MIXED)
    product.drain()
    before = product.history()
    for path in (product.root / "var").glob("dropslot.sqlite3*"):
        path.unlink()
    if not receipts:
        for path in (product.root / "var").rglob("receipts/*"):
            path.unlink()
    product.run("rebuild")
    assert product.arrivals()[0]["items"] == 3
    columns = ("item", "destination", "stored_as", "sha256", *(("archived_as", "name") if receipts else ()))
    told = [
        sorted(tuple(row[key] for key in columns) for row in rows) for rows in (before, product.history())
    ]
    assert told[0] == told[1]
    product.run("verify", "--fixity")
    if receipts:
        product.run("purge", "--older-than", "0s", "--yes")
        assert not (product.folder("done") / "mixed").exists()


@pytest.mark.sqlite_only
def test_the_receipt_names_the_manifest_of_each_part(product: Product) -> None:
    product.configure({"study": STUDY | BY_TYPE}).drop("mixed", MIXED)
    product.drain()
    (out := product.root / "receipts").mkdir()
    product.run("receipt", product.arrivals()[0]["id"], "--out", out)
    body = json.loads(next(out.glob("*.json")).read_bytes())
    assert set(body["manifests"]) == {
        str(product.studies / name) for name in ("application-pdf", "text-plain")
    }
    assert body["outcomes"] == {"delivered": 3}


@pytest.mark.sqlite_only
def test_parts_at_a_server_and_here(product: Product, shared_sshd: Sshd) -> None:
    (far := product.root / "far").mkdir()
    keys = {"key": str(shared_sshd.key), "known_hosts": str(shared_sshd.known_hosts)}
    remote = {"to": shared_sshd.url(far) + "/{mime}/in", "create_folders": True, **keys}
    product.configure({"study": STUDY | {"deliver": [remote, {"to": "./studies"}]}})
    product.drop("mixed", MIXED)
    product.drain()
    assert product.delivered() == {"a.pdf": PDF, "notes/b.txt": TEXT, "notes/c.pdf": PDF}
    assert read_tree(far) == {
        "application-pdf/in/a.pdf": PDF,
        "application-pdf/in/notes/c.pdf": PDF,
        "text-plain/in/notes/b.txt": TEXT,
    }
    product.drop("more", {"a.pdf": PDF, "notes/b.txt": MORE})
    product.drain()
    assert read_tree(far)["text-plain/in/notes/b.v2.txt"] == MORE
    assert not list(far.rglob("stage"))
    product.run("verify", "--fixity")
    product.run("purge", "--older-than", "0s", "--yes")
    assert not list(product.folder("done").iterdir())


@pytest.mark.sqlite_only
def test_a_part_that_is_away_holds_up_no_other_destination(product: Product) -> None:
    away = product.root / "away"
    for name in ("application-pdf", "text-plain"):
        (away / name).mkdir(parents=True)
    for folder in (away / "text-plain", product.studies):
        (folder / ".dropslot").mkdir()
        (folder / ".dropslot/manifests").touch()
    product.configure({"study": STUDY | {"deliver": [{"to": "./away/{mime}"}, {"to": "./studies"}]}})
    product.drop("mixed", MIXED)
    product.drain(status=None)
    assert not list(away.rglob("*.sha256"))
    (product.studies / ".dropslot/manifests").unlink()
    (away / "text-plain/.dropslot/manifests").unlink()
    away.rename(product.root / "unplugged")
    product.run("retry", product.arrivals()[0]["id"])
    product.drain(status=None)
    assert product.arrivals()[0]["state"] == "retrying"
    assert len(product.manifests()) == 1
    (product.root / "unplugged").rename(away)
    product.run("retry", product.arrivals()[0]["id"])
    product.drain()
    assert len(list(away.rglob("*.sha256"))) == 2
    assert len(product.history()) == 6


def test_a_later_arrival_waits_for_the_parts_of_an_earlier_one(product: Product) -> None:
    (product.studies / "text-plain" / ".dropslot").mkdir(parents=True)
    (hindered := product.studies / "text-plain/.dropslot/manifests").touch()
    product.configure({"study": STUDY | BY_TYPE})
    product.drop("first", {"a": TEXT, "b": PDF})
    product.drain(status=None)
    product.drop("second", {"a": MORE})
    product.drain(status=None)
    assert {row["state"] for row in product.arrivals()} == {"retrying"}
    hindered.unlink()
    for row in product.arrivals():
        product.run("retry", row["id"])
    product.drain()
    assert product.delivered() == {
        "application-pdf/b": PDF,
        "text-plain/a": TEXT,
        "text-plain/a.v2": MORE,
    }
