"""Each hostile name on each page: nothing of it becomes markup, a header, a formula or a template."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.urls import reverse

from dropslot.arrivals.models import Arrival
from hostility import PAGE_BREAKERS, REFUSED_BREAKERS
from page_table import Of, pages, paths
from portals import Site

BOTH_DATABASES = True
_AT_THE_BEGINNING = ("javascript:", "data:", "=", "+", "-", "@")


class Markup(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        is_inline = (
            tag == "script" and "src" not in names and ("type", "application/json") not in attrs
        )  # data
        if tag == "hx-evil" or tag in ("iframe", "base", "style") or is_inline:
            self.wrong.append(f"<{tag} {attrs}>")
        if any(name.startswith("on") or name == "style" for name in names):
            self.wrong.append(f"<{tag} {attrs}>")
        self.wrong += [
            f"{name}={value}"
            for name, value in attrs
            if name in ("href", "src", "action", "hx-get", "hx-post", "formaction")
            and (value or "").strip().lower().startswith(("javascript:", "data:"))
        ]

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"<!--{data[:80]}")


@pytest.fixture
def hostile_site(site: Site) -> Site:
    site.drop(
        "study", "heart-items", {f"{number:02}{name}": b"x" for number, name in enumerate(PAGE_BREAKERS)}
    )
    for number, name in enumerate(PAGE_BREAKERS):
        site.drop("results", f"north-{number:02}{name}.txt", b"x")
    inbox = site.root / "results" / "inbox"
    for raw in REFUSED_BREAKERS:
        (inbox / os.fsdecode(b"north-" + raw + b".txt")).write_bytes(b"x")
    site.drop("study", "heart-refused", {"good": b"x"} | {os.fsdecode(raw): b"x" for raw in REFUSED_BREAKERS})
    site.deliver("<hx-evil>")
    return site


def _paths() -> Iterator[str]:
    """Each page, and each one with hostile filters that is not of one thing: the filters alone are text in a query, so
    on PostgreSQL the pages as such are left out."""
    if connection.vendor == "sqlite":
        yield from paths()
    for name, row in pages():
        if not isinstance(row.arguments, Of):
            for hostile in _texts():
                query = urlencode(
                    dict.fromkeys(("q", "search", "since", "before", "route", "state", "id"), hostile)
                )
                yield f"{reverse(f'dropslot:{name}', kwargs=row.arguments())}?{query}"


def _texts() -> list[str]:
    """All names in few texts. What harms only at the beginning of a value is at the beginning of one."""
    first = [name for name in PAGE_BREAKERS if name.startswith(_AT_THE_BEGINNING)]
    others = [name for name in PAGE_BREAKERS if name not in first]
    return [" ".join([name, *others[at :: len(first)]]) for at, name in enumerate(first)]


def _content(answer: Any) -> str:
    data: bytes = b"".join(answer) if answer.streaming else answer.content
    return data.decode("utf-8", "strict")


def _wrong(path: str, answer: Any) -> list[str]:
    kind = answer["Content-Type"].split(";")[0] if answer.has_header("Content-Type") else ""
    if answer.status_code >= 500 and not path.startswith("/health"):
        return [f"{answer.status_code}"]
    wrong = [
        f"header {name}" for name, value in answer.items() if not value.isprintable() or "Set-Cookie" in name
    ]
    if kind == "text/html":
        text = _content(answer)
        wrong += Markup(text).wrong
        wrong += [sign for sign in ("tpl49", "tpl20") if sign in text]
    elif kind == "text/csv":
        cells = [cell for row in csv.reader(io.StringIO(_content(answer))) for cell in row]
        wrong += [
            cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(cell)
        ]
    elif kind.endswith("json") and answer.status_code == 200:
        text = _content(answer)
        for line in text.splitlines() if kind.endswith("ndjson") else [text]:
            json.loads(line)
    else:
        b"".join(answer) if answer.streaming else None
    return wrong


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.postgresql_in_crash
def test_no_name_breaks_any_page(hostile_site: Site) -> None:
    assert Arrival.objects.filter(state="done").count() > len(PAGE_BREAKERS) - 3
    assert Arrival.objects.filter(state="failed").count() >= len(REFUSED_BREAKERS)
    client = hostile_site.client("adam")
    wrong = {path: found for path in _paths() if (found := _wrong(path, client.get(path)))}
    assert not wrong, "\n".join(f"{path}: {found}" for path, found in list(wrong.items())[:20])


@pytest.mark.sqlite_only
def test_names_of_accounts_break_no_page(site: Site) -> None:
    for name in ("evil", "x"):
        site.account(name, "recipient", routes=("results",), folders=('"><hx-evil onclick=alert(1)>',))
    client = site.client("adam")
    for path in paths():
        assert _wrong(path, client.get(path)) == []
