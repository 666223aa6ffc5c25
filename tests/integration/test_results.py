"""Results to recipients: checked, looked up, delivered by clinic, archived, audited."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dropslot.core.showing.dates import WEEKDAYS
from pdfs import PATTERN, SPECIMEN, bomb, by_hand, own_grandfather, pdf
from product import Product
from waiting import wait_until

HEADER = "base_path,folder,folder_tag,label\n"
LOOKUP: dict[str, Any] = {
    "field": "folder",
    "table": "remote_folders.csv",
    "label": "bhs",
    "hint": r"^066-(?P<hint>\d\d)",
}
ROUTE: dict[str, Any] = {
    "folders": "./study",
    "takes": "files",
    "select": {"patterns": ["*.pdf"], "mime": ["application/pdf"]},
    "checks": [{"pdf_contains": PATTERN}],
    "lookup": LOOKUP,
    "deliver": [{"to": "./studies/{folder}"}],
}


def configured(product: Product, lines: str = "/r,clinic12,12,BHS\n", **keys: Any) -> Product:
    (product.root / "remote_folders.csv").write_text(HEADER + lines)
    return product.configure({"study": ROUTE | keys})


def reasons(product: Product) -> list[str]:
    return [reason for row in product.arrivals("--state", "failed") for reason in row["reason"]]


def test_a_result_is_looked_up_checked_delivered_and_archived(product: Product) -> None:
    configured(product)
    product.drop(f"{SPECIMEN}.pdf", pdf(f"Specimen {SPECIMEN}"))
    product.drain()
    assert list(product.delivered()) == [f"clinic12/{SPECIMEN}.pdf"]
    (row,) = product.history()
    assert row["fields"] == {"folder": "clinic12"}
    assert row["mime"] == "application/pdf"
    assert Path(row["archived_as"]).exists()
    product.run("verify", "--fixity")


def test_every_reason_of_select_and_of_the_text_is_told(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    product.drop(f"{SPECIMEN}.txt", b"no PDF at all")
    product.drop("066-12345678-2.pdf", pdf(f"Specimen {SPECIMEN}"))
    product.drain(status=1)
    assert product.delivered() == {}
    words = sorted(reason.partition(": ")[2] for reason in reasons(product))
    assert [word.split(",")[0][:40] for word in words] == [
        "its content is text/plain",
        "its name matches none of the patterns *.",
        "its text cannot be extracted: it is not ",
        "there is no '066-12345678-2' in the text",
    ]


def test_pdfs_that_were_made_to_do_harm_refuse_only_themselves(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    hostile = {
        "1": bomb(),
        "2": own_grandfather(),
        "3": pdf(SPECIMEN, user_password="secret"),
        "4": pdf("066-12000000-4")[:-300],
        "5": by_hand(b"", pages=b"<</Type/Pages/Kids[2 0 R]/Count 2000000000>>"),
    }
    for digit, content in hostile.items():
        product.drop(f"066-12000000-{digit}.pdf", content)
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    product.drain(status=1)
    assert list(product.delivered()) == [f"clinic12/{SPECIMEN}.pdf"]
    refused = {row["name"]: row["reason"] for row in product.arrivals("--state", "failed")}
    assert sorted(refused) == [f"066-12000000-{digit}.pdf" for digit in sorted(hostile)]
    assert all(reasons for reasons in refused.values())
    assert all(
        (product.folder("failed") / row["id"] / "REASON.txt").exists()
        for row in product.arrivals("--state", "failed")
    )


def test_a_hint_without_a_folder_is_refused_and_can_go_on_once_the_folder_is_loaded(product: Product) -> None:
    configured(product, "/r,clinic12,12,BHS\n/r,clinic2,2,BHS\n")
    name = "066-02345678-1"
    product.drop(f"{name}.pdf", pdf(name))
    product.drop("other.pdf", pdf(name))
    product.drain(status=1)
    found = "".join(reasons(product))
    assert (
        "remote_folders.csv has no hint '02' with label bhs (it has '2': did a spreadsheet drop the zero?)"
        in found
    )
    assert "the hint ^066-(?P<hint>\\d\\d) of label bhs does not match" in found
    table = product.root / "new.csv"
    table.write_text(HEADER + "/r,clinic12,12,BHS\n/r,clinic02,02,BHS\n/r,,03,BHS\n")
    loaded = product.run("load_remote_folders", table, status=1)
    failed = next(row["id"] for row in product.arrivals() if row["name"].startswith(name))
    assert loaded.stdout == (
        "remote_folders.csv: 1 added, 0 updated, 1 unchanged, 1 refused.\n"
        "Kept: 1 entry not in the file; --replace removes them.\n"
        f"1 arrival that failed because a folder was missing can go on:\n  dropslot retry {failed}\n"
    )
    assert f"{table}, line 4, was refused: folder is empty" in loaded.stderr
    table.write_text(HEADER + "/r,clinic12,12,BHS\n/r,clinic02,02,BHS\n")
    again = product.run("load_remote_folders", table, "--retry", "--replace")
    assert "0 added, 0 updated, 2 unchanged, 1 removed, 0 refused" in again.stdout
    assert (
        f"{failed} ({name}.pdf) is ready: the service, or the next `dropslot drain`, runs it." in again.stdout
    )
    product.drain()
    assert list(product.delivered()) == [f"clinic02/{name}.pdf"]


def test_two_answers_are_refused_with_both_named_until_one_is_chosen(sqlite_product: Product) -> None:
    product = configured(sqlite_product, "/r,clinic12,12,BHS\n/s,other12,12,BHS\n")
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    product.drain(status=1)
    (reason,) = reasons(product)
    assert reason.startswith(f"No folder is known for {SPECIMEN}.pdf: for hint '12' with label bhs")
    assert "remote_folders.csv has 2, clinic12 and other12" in reason
    configured(product, "/r,clinic12,12,BHS\n/s,other12,12,BHS\n", lookup=LOOKUP | {"base_path": "/s"})
    product.run("retry", product.arrivals()[0]["id"])
    product.drain()
    assert list(product.delivered()) == [f"other12/{SPECIMEN}.pdf"]


def test_of_several_labelled_hints_the_first_that_answers_counts(sqlite_product: Product) -> None:
    lookups = [LOOKUP, LOOKUP | {"label": "HTC", "hint": "-(?P<hint>[a-z]+)\\."}, LOOKUP | {"label": "HTC"}]
    lines = "/r,one,12,BHS\n/r,two,xy,HTC\n/r,three,13,htc\n"
    product = configured(sqlite_product, lines, lookup=lookups, checks=[])
    for name in ("066-12-xy", "066-13-xy", "066-13-zz"):
        product.drop(f"{name}.pdf", pdf("x"))
    product.drain()
    assert sorted(product.delivered()) == ["one/066-12-xy.pdf", "three/066-13-zz.pdf", "two/066-13-xy.pdf"]


def test_a_table_that_changed_is_loaded_at_start_and_what_changed_is_an_event(
    sqlite_product: Product,
) -> None:
    product = configured(sqlite_product)
    product.drain()
    product.drain()
    (product.root / "remote_folders.csv").write_text(HEADER + "/r,moved,12,bhs\n/r,a/b,13,BHS\n")
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    ended = product.drain()
    assert "line 3, was refused" in ended.stderr
    assert list(product.delivered()) == [f"moved/{SPECIMEN}.pdf"]
    events = [event["data"] for event in product.listing("events", "--kind", "folders-loaded")]
    assert [(event["added"], event["updated"], event["refused"]) for event in events] == [
        (1, 0, 0),
        (0, 1, 1),
    ]
    change = {"label": "bhs", "folder_tag": "12", "base_path": "/r", "before": "clinic12", "after": "moved"}
    assert events[1]["changes"] == [change]


def test_doctor_looks_at_folder_tables(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    product.drain()
    table = product.root / "remote_folders.csv"

    def found(status: int | None = None) -> str:
        rows = [
            row for row in product.run("doctor", "--json", status=status).objects if "table" in row["about"]
        ]
        return " ".join(f"{row['level']} {row['what']}" for row in rows)

    assert found() == "ok 1 folders are loaded"
    table.chmod(0o666)
    assert found(1).startswith("error") and "can be changed by anybody" in found(1)
    table.unlink()
    assert found().startswith("warning") and "is missing" in found()


def test_lines_that_are_odd_are_loaded_and_told_aloud(sqlite_product: Product) -> None:
    product = configured(sqlite_product, "/r,clinic12,12,BHS\n")
    file = product.root / "remote_folders.csv"
    file.write_text(HEADER + "/r,clinic02,02,BHS\n/r,clinic3,3,BHS\n/r,clinic12,12.0,BHS\n")
    said = product.run("load_remote_folders", "remote_folders.csv", status=1)
    assert "line 3, was loaded but looks suspicious: folder_tag is 3" in said.stderr
    assert "line 4, was refused: folder_tag is 12.0, a number with decimal places" in said.stderr
    assert "2 added, 0 updated, 0 unchanged, 1 refused" in said.stdout
    warned = " ".join(product.run("doctor").stdout.split())
    assert "1 lines are odd, first line 3" in warned and "1 lines would be refused, first line 4" in warned


def test_doctor_warns_of_patterns_that_cut_a_number_from_a_longer_one(sqlite_product: Product) -> None:
    checks = [
        {"pdf_contains": pattern} for pattern in (r"^(?P<s>066-\d{8}-\d)", r"(?P<s>\d{8})$", r"^(?P<s>\d+)")
    ]
    said = configured(sqlite_product, checks=checks).run("doctor").stdout
    warned = " ".join(said.split())
    assert "its pattern has no end: from 066-00000000-00 it takes 066-00000000-0" in warned
    assert "its pattern has no beginning: from 000000000 it takes 00000000" in warned
    assert warned.count("pdf_contains") == 2 and "write (?!\\d) behind the number" in warned


def test_another_file_stays_loaded_until_the_configured_one_changes(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    product.drain()
    (product.root / "other.csv").write_text(HEADER + "/r,other,12,BHS\n")
    assert "1 updated" in product.run("load_remote_folders", "other.csv").stdout
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    product.drain()
    assert list(product.delivered()) == [f"other/{SPECIMEN}.pdf"]


def test_a_table_that_never_was_is_a_mistake_told_at_start_and_one_that_vanished_is_not(
    sqlite_product: Product,
) -> None:
    product = configured(sqlite_product)
    table = product.root / "remote_folders.csv"
    table.unlink()
    assert "Make that file, with the columns" in product.drain(status=1).stderr
    table.write_text("nonsense")
    assert "is not a folder table" in product.drain(status=1).stderr
    table.write_text(HEADER + "/r,clinic12,12,BHS\n")
    product.drain()
    table.unlink()
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    assert "what was loaded before counts" in product.drain().stderr
    assert list(product.delivered()) == [f"clinic12/{SPECIMEN}.pdf"]


def test_which_table_a_file_is_for_must_be_clear(sqlite_product: Product) -> None:
    product = configured(sqlite_product, lookup=[LOOKUP, LOOKUP | {"table": "b.csv"}])
    (product.root / "b.csv").write_text(HEADER)
    (product.root / "c.csv").write_text(HEADER + "/r,c,99,BHS\n")
    assert (
        "Use --table; there is remote_folders.csv, b.csv"
        in product.run("load_remote_folders", "c.csv", status=2).stderr
    )
    assert "is not a table" in product.run("load_remote_folders", "c.csv", "--table", "x", status=2).stderr
    assert "b.csv: 1 added" in product.run("load_remote_folders", "c.csv", "--table", "b.csv").stdout
    assert (
        "Nothing was loaded"
        in product.run("load_remote_folders", "config.yaml", "--table", "b.csv", status=1).stderr
    )
    assert product.run("load_remote_folders", "missing.csv", "--table", "b.csv", status=1).stderr


CUT = """
import os
from dropslot.arrivals.delivery import publish
from dropslot.checks.base import Check

class Cut(Check):
    def check(self, arrival):
        if os.path.exists(self.option):
            publish.publish_items = lambda work: os._exit(9)
        return ()
"""


def test_an_arrival_that_was_cut_in_two_is_finished_where_it_began(sqlite_product: Product) -> None:
    """The table changes between the commit after which something may be published and the next start."""
    product, mark = sqlite_product, sqlite_product.root / "mark"
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "cutting.py").write_text(CUT)
    configured(product, checks=[{"cutting.Cut": str(mark)}])
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    mark.touch()
    product.drain(status=9)
    mark.unlink()
    assert product.delivered() == {}
    configured(product, "/r,moved,12,BHS\n", checks=[{"cutting.Cut": str(mark)}])
    product.drain()
    assert list(product.delivered()) == [f"clinic12/{SPECIMEN}.pdf"]
    assert product.history()[0]["fields"] == {"folder": "clinic12"}


def test_date_weekday_and_type_of_an_arrival_are_fields(sqlite_product: Product) -> None:
    to = "./studies/{date:%Y%m%d}-{weekday}/{mime}"
    route = {"folders": "./study", "takes": "any", "deliver": [{"to": to}]}
    product = sqlite_product.configure({"study": route}, time_zone="Pacific/Kiritimati")
    product.drop("a.bin", pdf(SPECIMEN))
    product.drop("b", {"scan.txt": b"text"})
    product.drop("c", b"")
    product.drain()
    received = datetime.fromisoformat(product.arrivals()[0]["received_at"])
    day = received.astimezone(ZoneInfo("Pacific/Kiritimati")).date()
    folder = f"{day:%Y%m%d}-{WEEKDAYS[day.weekday()]}"
    expected = {
        f"{folder}/application-pdf/a.bin",
        f"{folder}/text-plain/scan.txt",
        f"{folder}/inode-x-empty/c",
    }
    assert set(product.delivered()) == expected
    assert product.history("--search", "a.bin")[0]["fields"] == {
        "date": day.isoformat(),
        "weekday": WEEKDAYS[day.weekday()],
        "mime": "application-pdf",
    }


REWRITES = """
from pathlib import Path
from dropslot.fields.base import Field

class Rewrites(Field):
    def values(self, arrival_name, known=None):
        mark = Path(self.option) / "mark"
        if not mark.exists():
            mark.touch()
            (file,) = Path(self.option).glob(f"study/processing/*/{arrival_name}")
            file.write_bytes(b"text")
        return {}
"""


def test_content_of_another_type_than_the_path_says_is_never_delivered(sqlite_product: Product) -> None:
    """A sender who still has the file open changes it after its type was read, before it is listed."""
    product = sqlite_product
    (product.root / "plugins").mkdir()
    (product.root / "plugins" / "rewriting.py").write_text(REWRITES)
    fields = [{"rewriting.Rewrites": str(product.root)}]
    route = {"folders": "./study", "fields": fields, "deliver": [{"to": "./studies/{mime}"}]}
    product.configure({"study": route})
    product.drop("a", pdf(SPECIMEN))
    product.drain()
    assert product.delivered() == {"text-plain/a": b"text"}
    retried = product.listing("events", "--kind", "retrying")
    assert "The content type was application-pdf and is now text-plain" in retried[0]["data"]["reason"][0]


def test_the_type_is_known_wherever_the_arrival_lies(sqlite_product: Product) -> None:
    route = {"folders": "./study", "select": {"max_size": 1}, "deliver": [{"to": "./studies/{mime}"}]}
    product = sqlite_product.configure({"study": route})
    product.drop("a", b"text")
    product.drain(status=1)
    del route["select"]
    product.configure({"study": route | {"leave_source": True}})
    product.drop("b", b"text, read in place")
    product.drain()
    product.configure({"study": route})
    product.run("retry", product.arrivals("--state", "failed")[0]["id"])
    product.drain()
    assert set(product.delivered()) == {"text-plain/a", "text-plain/b"}


OWN = """
from pathlib import Path
from dropslot.core.errors import Refused
from dropslot.fields.base import Field

class Ward(Field):
    gives = frozenset({"ward"})

    def __init__(self, option):
        super().__init__(option)
        self.known = dict(line.split() for line in Path(option).read_text().splitlines())

    def values(self, arrival_name, known=None):
        if known["specimen"] == "broken":
            raise ZeroDivisionError("by zero")
        if known["specimen"] == "why":
            raise Refused(["because"])
        ward = self.known.get(known["specimen"])
        return {"ward": ward} if ward else None

class Shelf(Field):
    gives = frozenset({"shelf"})

    def values(self, arrival_name, known=None):
        return {"shelf": known["ward"].upper() + known["weekday"][:0]}

class Twice(Field):
    def values(self, arrival_name, known=None):
        return {"specimen": "another"}
"""


@pytest.fixture
def with_own_fields(sqlite_product: Product) -> Callable[..., Product]:
    (sqlite_product.root / "plugins").mkdir()
    (sqlite_product.root / "plugins" / "ownward.py").write_text(OWN)
    (sqlite_product.root / "wards.txt").write_text("s1 north\n")

    def configure(to: str = "./studies/{ward}/{shelf}", **keys: Any) -> Product:
        fields = [{"ownward.Ward": str(sqlite_product.root / "wards.txt")}, "ownward.Shelf"]
        route = {
            "folders": "./study",
            "name": r"(?P<specimen>\w+)",
            "fields": fields,
            "deliver": [{"to": to}],
        }
        return sqlite_product.configure({"study": route | keys})

    return configure


def test_fields_of_ones_own_give_values_and_later_ones_see_earlier_ones(
    with_own_fields: Callable[..., Product],
) -> None:
    product = with_own_fields()
    product.drop("s1", b"1")
    product.drop("s2", b"2")
    product.drop("why", b"3")
    product.drain(status=1)
    assert product.delivered() == {"north/NORTH/s1": b"1"}
    assert product.history()[0]["fields"] == {"specimen": "s1", "ward": "north", "shelf": "NORTH"}
    assert sorted(reasons(product)) == ["The field ownward.Ward has no value for the name s2", "because"]


def test_a_field_that_breaks_or_gives_a_name_twice_is_a_retry(
    with_own_fields: Callable[..., Product],
) -> None:
    product = with_own_fields()
    product.drop("broken", b"1")
    assert "Field ownward.Ward failed: ZeroDivisionError: by zero" in product.drain(status=1).stdout
    product = with_own_fields("./studies", fields=["ownward.Twice"])
    said = "a field must return new names; specimen already exists"
    try_again(product)
    assert said in product.drain(status=1).stdout
    assert product.arrivals()[0]["state"] == "retrying"
    with_own_fields("./studies", fields=[])
    try_again(product)
    product.drain()


def try_again(product: Product) -> None:
    """At once, though its time has not come."""
    product.run("retry", product.arrivals()[-1]["id"], status=None)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"fields": [{"ownward.Ward": "/no/such/file"}]},
            "Field 'ownward.Ward' of route study cannot be created",
        ),
        ({"fields": ["ownward.Refused"]}, "cannot be created"),
        ({"fields": [{"ownward.Path": "x"}]}, "is not a dropslot.fields.base.Field"),
        ({"to": "./studies/{wrad}"}, "Nothing provides the field wrad"),
        ({"fields": ["ownward.Nothing"]}, "module ownward has no Nothing"),
        ({"fields": ["ward"]}, "expected the dotted path of a class"),
    ],
)
def test_mistakes_in_fields_are_told_at_start(
    with_own_fields: Callable[..., Product], keys: dict[str, Any], words: str
) -> None:
    product = with_own_fields(**keys)
    product.drop("s1", b"1")
    assert words in product.drain(status=2).stderr
    assert (product.folder("inbox") / "s1").exists()


def test_done_keeps_every_file_though_names_repeat(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    contents = [pdf(f"{SPECIMEN} number {number}") for number in range(4)]
    contents.append(contents[0])
    for content in contents:
        product.drop(f"{SPECIMEN}.pdf", content)
        product.drain()
    rows = product.history()
    assert [row["version"] for row in rows] == [1, 2, 3, 4, 1]
    assert [row["outcome"] for row in rows] == ["delivered"] * 4 + ["unchanged"]
    assert [Path(row["archived_as"]).read_bytes() for row in rows] == contents
    assert len({row["archived_as"] for row in rows}) == 5


def test_files_that_are_there_before_the_start_are_processed_untouched(sqlite_product: Product) -> None:
    product = configured(sqlite_product, settle="200ms")
    file = product.folder("inbox") / f"{SPECIMEN}.pdf"
    file.write_bytes(pdf(SPECIMEN))
    os.utime(file, (1, 1))
    product.start("run")
    product.wait_for_state(f"{SPECIMEN}.pdf", "done")
    assert list(product.delivered()) == [f"clinic12/{SPECIMEN}.pdf"]
    assert (product.folder("done") / f"{SPECIMEN}.pdf").stat().st_mtime == 1


def test_run_and_what_it_started_end_together(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    process = product.start("run")
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    product.wait_for_state(f"{SPECIMEN}.pdf", "done")
    readers = _readers_below(process.pid)
    assert readers
    process.terminate()
    assert process.wait(60) == 0
    wait_until(lambda: not any(map(_lives, readers)), what="the end of the process that reads PDFs")


def _readers_below(pid: int) -> list[int]:
    """Processes that read PDFs among the descendants of one."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    found = [
        child
        for child in children
        if b"dropslot.parsing.program" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found + [each for child in children for each in _readers_below(child)]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_uploads_tell_who_put_what_in_and_who_has_audited_it(product: Product) -> None:
    configured(product)
    product.drop(f"{SPECIMEN}.pdf", pdf(SPECIMEN))
    product.drop("066-12345678-2.pdf", pdf(SPECIMEN))
    product.drain(status=1)
    sent, refused = sorted(product.listing("uploads"), key=lambda row: row["name"])
    assert (sent["state"], refused["state"]) == ("done", "failed")
    assert sent["sent_at"] and not refused["sent_at"]
    assert sent["sender"] and sent["uploaded_at"].endswith("Z") and sent["audited_by"] is None
    product.run("audit_upload", sent["id"], "--by", "Quality", "--note", "complete")
    product.run("audit_upload", sent["id"], "--by", "Head of laboratory")
    (audited,) = product.listing("uploads", "--audited")
    assert (audited["id"], audited["audited_by"]) == (sent["id"], "Head of laboratory")
    assert audited["audited_at"].endswith("Z")
    assert [row["id"] for row in product.listing("uploads", "--unaudited")] == [refused["id"]]
    events = product.listing("events", "--kind", "upload-audited")
    assert [event["data"]["note"] for event in events] == ["complete", ""]
    assert events[0]["data"]["state"] == "done" and events[0]["data"]["account"]
    product.run("verify")
    assert "no arrival's id" in product.run("audit_upload", "ZZZ", "--by", "x", status=2).stderr.lower()
    product.run("audit_upload", sent["id"], "--by", " ", status=2)


def test_pending_tells_what_waits_why_and_since_when(sqlite_product: Product) -> None:
    product = configured(sqlite_product)
    product.drop(f".{SPECIMEN}.pdf", pdf(SPECIMEN))
    (row,) = product.listing("pending")
    assert row["where"] == "inbox" and row["since"] and json.dumps(row["reason"])
    assert "temporary" in row["reason"][0]
