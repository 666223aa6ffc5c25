"""The folder table in the portal: search, a look at what a file would change, loading, and retrying what it heals."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from dropslot.audit.kinds import Kind
from dropslot.audit.models import Event
from dropslot.config import from_mapping
from dropslot.core.states import State
from dropslot.lookup import load_tables
from dropslot.lookup.models import Folder
from portals import Site, routes

HEADER = "base_path,folder,folder_tag,label\n"


@pytest.fixture
def looking(site: Site, settings: Any) -> Site:
    """Route `results` looks its folder up."""
    (site.root / "table.csv").write_text(HEADER + ",north,11,BHS\n,south,12,BHS\n")
    known = routes(site.root)
    known["results"] |= {
        "name": r"\d\d-.+",
        "lookup": {
            "field": "folder",
            "table": str(site.root / "table.csv"),
            "label": "BHS",
            "hint": r"^(?P<hint>\d\d)",
        },
    }
    del known["results"]["select"]
    site.config = settings.DROPSLOT = from_mapping(
        {"data": str(site.root / "var"), "portal": {}, "routes": known}, site.root
    )
    load_tables.refresh(site.config)
    return site


def page(site: Site, name: str, query: str = "") -> str:
    answer = site.client(name).get(f"/folders/{query}")
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def preview(site: Site, name: str, content: bytes, file: str = "new.csv", **data: str) -> Any:
    sent = SimpleUploadedFile(file, content, "text/csv")
    return site.client(name).post(
        "/folders/preview/", {"table": "table.csv", "file": sent, **data}, follow=True
    )


def load(site: Site, name: str, shown: str, **data: str) -> Any:
    fields = dict(re.findall(r'name="(table|kept|name|replace)" value="([^"]*)"', shown))
    return site.client(name).post("/folders/load/", {**fields, **data}, follow=True)


@pytest.mark.parametrize(
    ("name", "sees", "may"),
    [
        ("olga", True, True),
        ("adam", True, True),
        ("augusta", True, False),
        ("sam", False, False),
        ("rita", False, False),
        ("stella", False, False),
        ("nobody", False, False),
    ],
)
def test_auditors_look_operators_load_and_others_see_nothing(
    looking: Site, name: str, sees: bool, may: bool
) -> None:
    assert looking.client(name).get("/folders/").status_code == (200 if sees else 404)
    if sees:
        assert ("Load a new file" in page(looking, name)) is may
    answer = preview(looking, name, HEADER.encode() + b",east,13,BHS\n")
    assert answer.status_code == (200 if may else 404)
    answer = looking.client(name).post("/folders/load/", {"table": "table.csv", "kept": "0" * 64})
    assert answer.status_code == (302 if may else 404)


def test_an_operator_of_one_route_cannot_load_what_another_route_uses(looking: Site, settings: Any) -> None:
    both = looking.config.routes
    study = both["study"].model_copy(update={"lookup": both["results"].lookup})
    looking.config = settings.DROPSLOT = looking.config.model_copy(update={"routes": both | {"study": study}})
    looking.account("rolf", "operator", routes=("results",))
    assert "Load a new file" not in page(looking, "rolf")
    assert preview(looking, "rolf", HEADER.encode()).status_code == 404


def test_entries_are_found_by_search(looking: Site) -> None:
    shown = page(looking, "olga")
    assert "2 entries" in shown
    assert ">north<" in shown
    assert ">north<" not in page(looking, "olga", "?search=sou")
    assert "No entry fits" in page(looking, "olga", "?search=nothing")


def test_a_file_is_looked_at_before_it_is_loaded(looking: Site) -> None:
    content = HEADER.encode() + b",north,11,BHS\n,west,12,BHS\n,east,13,BHS\n,bad/../x,14,BHS\n"
    shown = preview(looking, "olga", content).content.decode()
    text = html.unescape(re.sub(r"<[^>]+>", "", shown))
    for told in ("1 added", "1 updated", "1 unchanged", "1 refused", "line 5, was refused"):
        assert told in text, told
    assert Folder.objects.count() == 2
    assert not Event.objects.filter(kind=Kind.FOLDERS_LOADED, data__contains="olga").exists()
    done = html.unescape(re.sub(r"<[^>]+>", "", load(looking, "olga", shown).content.decode()))
    assert "1 added" in done
    assert sorted(Folder.objects.values_list("folder", flat=True)) == ["east", "north", "west"]
    told_event = json.loads(Event.objects.filter(kind=Kind.FOLDERS_LOADED).order_by("-seq")[0].data)
    assert (told_event["by"], told_event["file"], told_event["refused"]) == ("olga", "new.csv", 1)


def test_entries_that_are_not_in_the_file_are_removed_only_if_asked_for(looking: Site) -> None:
    content = HEADER.encode() + b",north,11,BHS\n"
    load(looking, "olga", preview(looking, "olga", content).content.decode())
    assert Folder.objects.count() == 2
    shown = preview(looking, "olga", content, replace="yes").content.decode()
    assert "1</strong> removed" in shown
    load(looking, "olga", shown)
    assert Folder.objects.count() == 1


def changes(shown: str) -> list[str]:
    """The rows of changes, as text."""
    rows = re.findall(r"<tr><td data-label=\"Change\">.*?</tr>", shown, re.S)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in rows]


def test_each_change_is_shown_before_it_is_loaded(looking: Site) -> None:
    content = HEADER.encode() + b",<b>west,12,BHS\n,east,13,BHS\n"
    assert changes(preview(looking, "olga", content).content.decode()) == [
        "added BHS 13 east",
        "updated BHS 12 south <b>west",
    ]
    shown = preview(looking, "olga", content, replace="yes").content.decode()
    assert changes(shown)[2:] == ["removed BHS 11 north"]
    assert "<b>west" not in shown


def test_many_changes_are_cut_and_counted(looking: Site) -> None:
    lines = "".join(f",new{number},{number},BHS\n" for number in range(100, 350))
    shown = preview(looking, "olga", (HEADER + lines).encode()).content.decode()
    assert len(changes(shown)) == 200 and "and 50 more changes" in shown


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a workbook", b"no,table\n1,2\n", b"\xff\xfe\x00"])
def test_what_is_no_folder_table_is_refused_with_the_reason(looking: Site, content: bytes) -> None:
    assert "alert-danger" in preview(looking, "olga", content or b" ").content.decode()
    assert Folder.objects.count() == 2


def test_no_file_says_so(looking: Site) -> None:
    answer = looking.client("olga").post("/folders/preview/", {"table": "table.csv"}, follow=True)
    assert "Choose a CSV file first" in answer.content.decode()


@pytest.mark.parametrize("kept", ["0" * 64, "../../../etc/passwd", "", "x"])
def test_only_a_file_that_was_looked_at_is_loaded(looking: Site, kept: str) -> None:
    answer = looking.client("olga").post("/folders/load/", {"table": "table.csv", "kept": kept}, follow=True)
    assert "no longer kept here" in answer.content.decode()


def test_another_table_is_not_found(looking: Site) -> None:
    assert looking.client("olga").get("/folders/?table=other.csv").status_code == 404
    assert looking.client("olga").post("/folders/load/", {"table": "other.csv"}).status_code == 404


def test_what_a_table_heals_is_retried(looking: Site) -> None:
    looking.drop("results", "13-a.pdf")
    looking.deliver()
    assert looking.arrival("13-a.pdf").state == State.FAILED
    shown = preview(looking, "olga", HEADER.encode() + b",north,13,BHS\n").content.decode()
    done = load(looking, "olga", shown).content.decode()
    assert "1 arrival can go on" in html.unescape(re.sub(r"<[^>]+>", "", done))
    [pk] = re.findall(r'name="id" value="([^"]+)"', done)
    looking.client("olga").post("/arrivals/retry/", {"id": pk})
    looking.deliver()
    assert looking.arrival("13-a.pdf").state == State.DONE
    assert (looking.root / "clinics" / "north" / "13-a.pdf").exists()


def test_a_hostile_file_name_and_table_are_shown_and_never_obeyed(looking: Site) -> None:
    content = HEADER.encode() + b',<script>alert(1)</script>,13,"<img src=x onerror=alert(1)>"\n'
    answer = preview(looking, "olga", content, file="<svg onload=alert(1)>.csv")
    raw = answer.content.decode()
    load(looking, "olga", raw)
    raw += looking.client("olga").get("/folders/").content.decode()
    for bad in ("<script>alert", "<img src=x", "<svg onload"):
        assert bad not in raw


def test_a_kept_file_is_private(looking: Site) -> None:
    preview(looking, "olga", HEADER.encode() + b",east,13,BHS\n")
    folder = looking.config.data / "folder-tables"
    [kept] = folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert Path(folder).stat().st_mode & 0o077 == 0


def test_without_a_look_up_the_page_says_so(site: Site) -> None:
    assert "No route of yours looks folders up" in page(site, "olga")
