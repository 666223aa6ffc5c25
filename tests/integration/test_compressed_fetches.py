"""Texts that a real Apache or nginx compresses on the way are fetched all the same, where the log can prove it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apache import COMBINED, Apache
from nginx import Nginx
from product import Product

REPORT = "".join(f"<result specimen='{number}'>not detected</result>\n" for number in range(2000)).encode()
# More than the kernel keeps for a reader that hangs up, also when it is compressed.
LARGE = random.Random(7).randbytes(20_000_000).hex().encode()
ADDRESS = "/results/digawana/digawana-"
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT NOVA) Chrome/96"


def configured(product: Product, results: Path, log: Path, format_: str) -> Product:
    acknowledge: dict[str, Any] = {
        "log": str(log),
        "format": format_,
        "match": "/results/{folder}/{stored_name}",
        "users": {"clinic12": "digawana"},
    }
    route = {
        "folders": "./results",
        "takes": "files",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": f"{results}/{{folder}}", "manifest": "none"}],
        "acknowledge": [acknowledge],
    }
    return product.configure({"results": route})


def deliver(product: Product, **contents: bytes) -> None:
    for name, content in contents.items():
        product.drop(f"digawana-{name}.txt", content, "results")
    product.drain()


def fetched(product: Product) -> dict[str, str | None]:
    product.run("start_log_reader")
    return {row["stored_as"].removeprefix("digawana-"): row["acknowledged_by"] for row in product.history()}


def about_the_log(product: Product) -> str:
    rows = product.run("doctor", "--json").objects
    return "\n".join(
        f"{row['level']} {row['what']} | {row['remedy']}" for row in rows if ", log " in row["about"]
    )


@pytest.fixture
def deflating(make_apache: Callable[..., Apache]) -> Apache:
    more = '<Location "/results">\nSetOutputFilter DEFLATE\n</Location>\n'
    more += f"LogFormat {COMBINED.replace('%b', '%O')} debian\nCustomLog {{folder}}/debian.log debian"
    return make_apache(more, ("deflate",))


def test_what_apache_compressed_counts_if_it_was_sent_whole(
    sqlite_product: Product, deflating: Apache
) -> None:
    product = configured(sqlite_product, deflating.results, deflating.full_log, "dropslot")
    deliver(product, whole=REPORT, plain=REPORT, cut=LARGE, read=REPORT)
    response = deflating.get(ADDRESS + "whole.txt")
    assert response.headers["Content-Encoding"] == "gzip" and response.content == REPORT
    deflating.get(ADDRESS + "plain.txt", Accept_Encoding="identity")
    # On a telephone whose name has "bot" in it, and with a program that names itself one: who is signed in has read it.
    deflating.get(ADDRESS + "read.txt", User_Agent=f"{CUBOT} (compatible; Readbot/1.0)")
    deflating.abort(ADDRESS + "cut.txt")
    lines = deflating.full_log.read_text().splitlines()
    assert lines[-1].endswith(' X "-" "gzip"')
    found = fetched(product)
    assert found == {
        "whole.txt": "clinic12",
        "plain.txt": "clinic12",
        "cut.txt": None,
        "read.txt": "clinic12",
    }
    assert about_the_log(product).startswith("ok ") and "never count" not in about_the_log(product)


def test_doctor_says_which_lines_never_count_and_how_to_change_that(
    sqlite_product: Product, deflating: Apache
) -> None:
    product = configured(sqlite_product, deflating.results, deflating.access_log, "combined")
    deliver(product, a=REPORT, b=REPORT, c=REPORT)
    for name in ("a.txt", "a.txt", "b.txt"):
        deflating.get(ADDRESS + name)
    deflating.get(ADDRESS + "b.txt", Accept_Encoding="identity")
    assert fetched(product) == {"a.txt": None, "b.txt": "clinic12", "c.txt": None}
    said = about_the_log(product)
    assert "warning 3 of its last 4 lines asked for a delivery but can never count" in said
    assert "%{Content-Encoding}o" in said and "SetEnv no-gzip 1" in said and "gzip off;" in said

    # The headers are counted as well: this alone tells less.
    configured(product, deflating.results, deflating.folder / "debian.log", "debian")
    deflating.get(ADDRESS + "c.txt", Accept_Encoding="identity")
    assert fetched(product) == {"a.txt": None, "b.txt": "clinic12", "c.txt": "clinic12"}
    said = about_the_log(product)
    assert "set `format: debian`" not in said
    assert "%O alone, which counts the headers as well" in said and "3 of its last 5 lines" in said

    # Debian's apache2.conf calls this `combined`.
    configured(product, deflating.results, deflating.folder / "debian.log", "combined")
    said = about_the_log(product)
    assert "lines say that more bytes went out than the file has" in said and "set `format: debian`" in said


def test_what_nginx_compressed_counts_if_it_was_sent_whole(sqlite_product: Product, nginx: Nginx) -> None:
    (nginx.results / "digawana").mkdir()
    product = configured(sqlite_product, nginx.results, nginx.full_log, "dropslot_nginx")
    deliver(product, whole=REPORT, plain=REPORT, cut=LARGE)
    response = nginx.get(ADDRESS + "whole.txt")
    assert response.headers["Content-Encoding"] == "gzip" and response.content == REPORT
    nginx.get(ADDRESS + "plain.txt", Accept_Encoding="identity")
    nginx.abort(ADDRESS + "cut.txt")
    assert fetched(product) == {"whole.txt": "clinic12", "plain.txt": "clinic12", "cut.txt": None}
    assert "never count" not in about_the_log(product)
    configured(product, nginx.results, nginx.access_log, "nginx")
    assert "can never count" in about_the_log(product)
