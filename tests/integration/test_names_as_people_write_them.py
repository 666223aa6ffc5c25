"""Names of macOS, of other scripts and with marks that nobody sees: taken as people mean them, or refused in words."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

from product import STUDY, Product
from sshd import Sshd

PATTERN = {"name": r"(?P<study>\w+)-(?P<sent>\w+)"}
LRM, RLM, OVERRIDE = "\u200e", "\u200f", "\u202e"


def test_studies_are_found_in_the_names_of_any_script(sqlite_product: Product) -> None:
    sqlite_product.configure({"study": STUDY | PATTERN | {"deliver": [{"to": "./studies/{study}/{sent}"}]}})
    sent = {
        normalize("NFD", "Größe-Björn"),
        normalize("NFC", "Größe-Jörg"),
        "हिन्दी-भाषा",
        "ไทย-ที่",
        "عَرَب-مُحَمَّد",
    }
    for name in sent:
        sqlite_product.drop(name, {"a.txt": name.encode()})
    sqlite_product.drain()
    assert {row["name"] for row in sqlite_product.arrivals()} == sent
    there = {
        f"{path.parent.parent.name}-{path.parent.name}" for path in sqlite_product.studies.glob("*/*/a.txt")
    }
    assert there == sent
    found = sqlite_product.history("--search", normalize("NFC", "björn"))
    assert [row["fields"]["study"] for row in found] == [normalize("NFD", "Größe")]


def test_a_study_that_is_only_spelled_in_another_form_is_told(sqlite_product: Product) -> None:
    deliver = {"to": "./studies/{study}/raw", "must_exist": "./studies/{study}"}
    sqlite_product.configure({"study": STUDY | PATTERN | {"deliver": [deliver]}})
    (sqlite_product.studies / normalize("NFC", "Größe")).mkdir()
    sqlite_product.drop(normalize("NFD", "Größe-eins"), {"a": b"1"})
    sqlite_product.drain(status=1)
    [refused] = sqlite_product.arrivals()
    assert "looks the same" in refused["reason"][0] and "NFD" in refused["reason"][0]


def test_a_folder_at_a_server_in_another_form_is_told(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / normalize("NFC", "Größe")).mkdir()
    keys = {"key": str(shared_sshd.key), "known_hosts": str(shared_sshd.known_hosts)}
    for more in ({}, {"must_exist": shared_sshd.url(tmp_path) + "/{study}"}):
        deliver = {"to": shared_sshd.url(tmp_path) + "/{study}", **keys, **more}
        sqlite_product.configure({"study": STUDY | PATTERN | {"deliver": [deliver]}})
        sqlite_product.drop(normalize("NFD", f"Größe-{len(more)}"), {"a": b"1"})
        sqlite_product.drain(status=1)
    reasons = [row["reason"][0] for row in sqlite_product.arrivals()]
    assert len(reasons) == 2 and all("looks the same" in reason for reason in reasons)


def test_marks_that_nobody_sees_are_told_or_kept(sqlite_product: Product) -> None:
    names = [f"{LRM}visit1", f"visit2{RLM}", "visit3"]
    for name in names:
        sqlite_product.drop(name, {"a.txt": name.encode()})
    sqlite_product.drop("inner", {f"b{LRM}.txt": b"", f"c{LRM}/d.txt": b""})
    sqlite_product.drop("turned", {f"x{OVERRIDE}y": b""})
    sqlite_product.drain(status=1)
    reasons = {row["name"]: row["reason"] for row in sqlite_product.arrivals("--state", "failed")}
    assert len(reasons) == 4
    told = reasons[r"\u200evisit1"]
    assert told[0].startswith(r"\u200evisit1: the name contains U+200E LEFT-TO-RIGHT MARK at position 1")
    assert "type the name again" in told[0] and "names: keep" in told[0]
    assert "U+200F RIGHT-TO-LEFT MARK at position 7" in reasons[r"visit2\u200f"][0]
    assert [reason.split(":")[0] for reason in reasons["inner"]] == [r"c\u200e", r"b\u200e.txt"]
    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in reasons["turned"][0]

    sqlite_product.configure(
        {"study": STUDY | {"names": "keep", "deliver": [{"to": "./studies/{sent}"}], **SENT}}
    )
    sqlite_product.run("retry", *(row["id"] for row in sqlite_product.arrivals("--state", "failed")))
    sqlite_product.drain(status=1)
    assert [row["name"] for row in sqlite_product.arrivals("--state", "failed")] == ["turned"]
    kept = {f"{names[0]}/a.txt", f"{names[1]}/a.txt", f"inner/b{LRM}.txt", f"inner/c{LRM}/d.txt"}
    assert kept <= set(sqlite_product.delivered())


SENT = {"name": "(?P<sent>.+)"}


def test_what_nobody_sees_is_named_where_a_pattern_does_not_match(sqlite_product: Product) -> None:
    sqlite_product.configure({"study": STUDY | PATTERN})
    sqlite_product.drop("heart\u200b-visit1", {"a": b"1"})
    sqlite_product.drop("heart\u00a0-visit1", {"a": b"1"})
    sqlite_product.drain(status=1)
    second, first = sorted(row["reason"][0] for row in sqlite_product.arrivals())
    assert "contains U+200B ZERO WIDTH SPACE at position 6, does not match" in first
    assert "contains U+00A0 NO-BREAK SPACE at position 6, does not match" in second


def test_a_folder_table_is_asked_in_any_form(sqlite_product: Product) -> None:
    lookup = {"field": "folder", "table": "t.csv", "label": "Häuser", "hint": r"^(?P<hint>\w+)-"}
    lines = (
        f"folder,folder_tag,label,base_path\none,{normalize('NFD', 'Zürich')},{normalize('NFD', 'häuser')},\n"
    )
    (sqlite_product.root / "t.csv").write_text(lines + f"two,{normalize('NFC', 'Köln')},Häuser,\n")
    for folder in ("one", "two"):
        (sqlite_product.studies / folder).mkdir()
    sqlite_product.configure({"study": STUDY | {"lookup": lookup, "deliver": [{"to": "./studies/{folder}"}]}})
    for form in ("NFC", "NFD"):
        for town in ("Zürich", "Köln"):
            sqlite_product.drop(normalize(form, f"{town}-{form}"), b"1")
    sqlite_product.drain()
    assert {path.split("/")[0] for path in sqlite_product.delivered()} == {"one", "two"}
    (sqlite_product.root / "t.csv").write_text(lines.replace(normalize("NFD", "Zürich"), "Zürich"))
    assert "1 unchanged" in sqlite_product.run("load_remote_folders", "t.csv").stdout
