"""What a laboratory brings along from getresults-distribute: a dump in the shape that its models have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from product import Product

NAME = "066-12345678-9.pdf"
LOOKUP = {
    "field": "folder",
    "table": "remote_folders.csv",
    "label": "bhs",
    "hint": r"^066-(?P<hint>\d\d)",
}
ROUTE: dict[str, Any] = {
    "folders": "./study",
    "takes": "files",
    "lookup": LOOKUP,
    "deliver": [{"to": "./studies/{folder}"}],
}


def row(model: str, pk: int | str, **fields: Any) -> dict[str, Any]:
    return {"model": f"getresults_dst.{model}", "pk": pk, "fields": fields}


def history(pk: int, name: str = NAME, **more: Any) -> dict[str, Any]:
    fields = {
        "archive": f"archive/{name}",
        "hostname": "getresults",
        "remote_hostname": "edc.example.com",
        "path": "/home/edc/getresults_files/upload",
        "remote_path": "/home/edc/viral_load/digawana",
        "remote_folder": "digawana",
        "remote_folder_tag": "12",
        "archive_path": "/home/edc/getresults_files/archive",
        "filename": name,
        "filesize": 20481.0,
        "filetimestamp": "2015-06-24T14:30:59Z",
        "mime_type": "application/pdf",
        "status": "sent",
        "sent_datetime": "2015-06-24T14:31:02.125Z",
        "acknowledged": False,
        "ack_datetime": None,
        "ack_user": None,
        "user": "edc",
    }
    return row("history", pk, **(fields | more))


def acknowledgment(pk: int, name: str = NAME, **more: Any) -> dict[str, Any]:
    fields = {
        "filename": name,
        "ack_user": "10.1.2.3",
        "ack_datetime": "2015-06-25T08:00:00+02:00",
        "ack_string": f'10.1.2.3 - - [25/Jun/2015:08:00:00 +0200] "GET /r?file={name} HTTP/1.1" 200 20481',
        "in_sent_history": True,
        "created": "2015-06-25T09:00:00Z",
    }
    return row("acknowledgment", pk, **(fields | more))


def folder(pk: int, name: str, tag: str, label: str = "bhs") -> dict[str, Any]:
    return row("remotefolder", pk, folder=name, base_path="viral_load", folder_tag=tag, label=label)


def the_rest() -> list[dict[str, Any]]:
    return [
        row(
            "logreaderhistory",
            1,
            lastpos=4096,
            lines=20,
            matches=1,
            exceptions=0,
            started="2015-06-25T09:00:00Z",
        ),
        row("pending", 1, filename=NAME, filesize=1.0, filetimestamp="2015-06-24T14:30:59Z"),
        row("acknowledgmentuser", 1, ack_user="10.1.2.3", remote_folder=1, created="2015-06-25T09:00:00Z"),
        {"model": "auth.user", "pk": 1, "fields": {"username": "edc", "password": "pbkdf2$secret"}},
    ]


def write(product: Product, rows: object, name: str = "dump.json") -> Path:
    file = product.root / name
    file.write_text(json.dumps(rows))
    return file


def laboratory(product: Product) -> Path:
    """A dump of everything, and dropslot with a route that looks folders up."""
    product.configure({"study": ROUTE})
    rows = [history(1), history(2, "066-07000000-1.pdf"), acknowledgment(1)]
    rows += [folder(1, "digawana", "12"), folder(2, "bokaa", "07"), *the_rest()]
    return write(product, rows)


def test_people_find_old_deliveries_and_who_fetched_them(product: Product) -> None:
    dump = laboratory(product)
    said = product.run("import_getresults", dump).stdout
    assert "Imported: 2 deliveries, 1 acknowledgment." in said
    found = product.listing("events", "--search", NAME)
    assert [event["data"]["model"] for event in found] == ["history", "acknowledgment"]
    assert found[0]["data"]["fields"]["sent_datetime"] == "2015-06-24T14:31:02.125Z"
    assert found[1]["data"]["fields"]["ack_user"] == "10.1.2.3"
    product.run("verify")


def test_old_deliveries_do_not_pretend_to_be_proved(sqlite_product: Product) -> None:
    product = sqlite_product
    dump = laboratory(product)
    assert "dropslot has not seen these files" in product.run("import_getresults", dump).stdout
    assert product.history() == []
    assert product.arrivals() == []


def test_the_folder_table_works_at_once_and_has_a_file(product: Product) -> None:
    dump = laboratory(product)
    product.run("import_getresults", dump)
    product.drop("066-07000000-2.pdf", b"result")
    product.drain()
    assert list(product.delivered()) == ["bokaa/066-07000000-2.pdf"]
    again = product.run("load_remote_folders", "remote_folders.csv").stdout
    assert "0 added, 0 updated, 2 unchanged, 0 refused" in again.replace("remote_folders.csv: ", "")


def test_a_second_run_adds_nothing(product: Product) -> None:
    dump = laboratory(product)
    product.run("import_getresults", dump)
    before = product.listing("events")
    said = product.run("import_getresults", dump).stdout
    assert "In the trail already: 3 records" in said
    assert product.listing("events") == before


def test_a_later_dump_adds_what_is_new_and_what_has_changed(sqlite_product: Product) -> None:
    product = sqlite_product
    dump = laboratory(product)
    product.run("import_getresults", dump)
    changed = history(1, acknowledged=True, ack_datetime="2015-07-01T08:00:00Z", ack_user="clinic12")
    product.run(
        "import_getresults",
        write(product, [changed, history(2, "066-07000000-1.pdf"), history(3, "new.pdf")]),
    )
    newer = [event["data"] for event in product.listing("events", "--kind", "imported")[3:]]
    assert [(data["key"], data["fields"]["acknowledged"]) for data in newer] == [("1", True), ("3", False)]


def test_the_import_says_who_did_it_and_from_what(sqlite_product: Product) -> None:
    product = sqlite_product
    dump = laboratory(product)
    product.run("import_getresults", dump)
    (event,) = product.listing("events", "--kind", "import")
    assert event["data"]["from"] == str(dump)
    assert event["data"]["records"] == 3
    assert event["data"]["by"]


def test_what_is_not_imported_is_counted_and_passwords_are_nowhere(sqlite_product: Product) -> None:
    product = sqlite_product
    said = product.run("import_getresults", laboratory(product)).stdout
    assert "1 of acknowledgmentuser, 1 of logreaderhistory, 1 of pending" in said
    assert product.listing("events", "--search", "pbkdf2") == []


def test_a_folder_that_the_table_already_has_stays_as_it_is(sqlite_product: Product) -> None:
    product = sqlite_product
    dump = laboratory(product)
    (product.root / "remote_folders.csv").write_text(
        "base_path,folder,folder_tag,label\nviral_load,gumare,12,bhs\n"
    )
    product.run("load_remote_folders", "remote_folders.csv")
    ended = product.run("import_getresults", dump, status=1)
    assert (
        "remotefolder 1, was refused: the folder of bhs 12 is digawana here, and gumare in the table"
        in ended.stderr
    )
    assert "1 added, 0 there already, 1 refused" in ended.stdout


def test_without_a_route_that_looks_up_the_history_is_imported_and_the_rest_is_told(
    sqlite_product: Product,
) -> None:
    product = sqlite_product
    dump = laboratory(product)
    product.configure()
    ended = product.run("import_getresults", dump, status=1)
    assert "Imported: 2 deliveries" in ended.stdout
    assert "no route has `lookup`" in ended.stderr


def test_folders_that_look_like_numbers_or_dates_stay_what_they_were(sqlite_product: Product) -> None:
    product = sqlite_product
    product.configure({"study": ROUTE})
    rows = [folder(1, "1-2", "12"), folder(2, "Jan-12", "1e5", "o'b"), folder(3, '2"x', "100.00", "=cmd")]
    product.run("import_getresults", write(product, rows))
    said = product.run("load_remote_folders", "remote_folders.csv").stdout
    assert "3 unchanged, 0 refused" in said


BROKEN = {
    "empty": b"",
    "no JSON": b"<django-objects/>",
    "an object": b"{}",
    "not a number": b'[{"model": "getresults_dst.history", "pk": NaN}]',
    "deep": b"[" * 100_000,
    "other apps": b'[{"model": "auth.user", "pk": 1, "fields": {}}]',
    "half": b'[{"model": "getresults_dst.history", "pk": 1, "fie',
    "bytes": b"\xff\xfe\x00\x01\x02",
    "long number": b"[" + b"9" * 5000 + b"]",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_dump_is_told_in_words(sqlite_product: Product, content: bytes) -> None:
    product = sqlite_product.configure()
    (product.root / "dump.json").write_bytes(content)
    ended = product.run("import_getresults", "dump.json", status=1)
    assert "Nothing was imported" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert product.listing("events") == []


def test_a_missing_file_is_told_in_words(sqlite_product: Product) -> None:
    product = sqlite_product.configure()
    assert "cannot be read" in product.run("import_getresults", "none.json", status=1).stderr


ODD: list[Any] = [
    7,
    None,
    [],
    {"model": 5},
    row("history", 3),
    history(4, sent_datetime="yesterday"),
    history(5, filename=""),
    history(6, filesize=10**30),
    history(7, user={"nested": True}),
    history(8, user="x" * 5000),
    {"model": "getresults_dst.acknowledgment", "pk": 9, "fields": "text"},
]


def test_bad_records_are_named_and_do_not_affect_the_others(product: Product) -> None:
    product.configure()
    ended = product.run("import_getresults", write(product, [*ODD, history(1)]), status=1)
    assert ended.stderr.count("was refused") == len(ODD)
    assert "history 4, was refused: sent_datetime is not a time: yesterday" in ended.stderr
    assert "Imported: 1 delivery," in ended.stdout


def test_hostile_texts_are_kept_and_harm_nothing(product: Product) -> None:
    product.configure()
    names = ["\x1b[2Jclear.pdf", "a\x00b.pdf", "\ud800.pdf", "<script>.pdf", "=cmd|x.pdf", "../../etc/passwd"]
    product.run("import_getresults", write(product, [history(n, name) for n, name in enumerate(names)]))
    assert len(product.listing("events", "--kind", "imported")) == len(names)
    assert "\x1b[2J" not in product.run("events").stdout
    product.run("verify")


def test_a_dump_that_powershell_wrote_is_read(sqlite_product: Product) -> None:
    product = sqlite_product.configure()
    (product.root / "dump.json").write_bytes(json.dumps([history(1)]).encode("utf-16"))
    assert "Imported: 1 delivery," in product.run("import_getresults", "dump.json").stdout
