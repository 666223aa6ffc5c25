"""Lines that real servers write about WebDAV, ownCloud's and Nextcloud's downloads, and nginx's own; each is read."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from apache import FULL, Apache
from nginx import Nginx
from product import Product

PDF = b"%PDF-1.4 " + bytes(range(256)) * 80

_WEBDAV = """
DavLockDB "{folder}/lock/db"
<Directory "{folder}/root/results">
    Dav On
</Directory>
"""

# What ownCloud's and Nextcloud's page asks for, answered by a small program in their manner; Apache writes the lines.
_CLOUD = """
ScriptSock "{folder}/cgid.sock"
ScriptAlias /index.php/apps/files/ajax/download.php "{folder}/download"
Alias /remote.php/webdav/viral_load "{folder}/root/results"
<Directory "{folder}">
    AuthType Basic
    AuthName cloud
    AuthUserFile "{folder}/users"
    Require valid-user
</Directory>
"""
_DOWNLOAD = """#!/usr/bin/python3
import io, json, os, sys, zipfile
from urllib.parse import parse_qs

asked = {name: values[-1] for name, values in parse_qs(os.environ["QUERY_STRING"]).items()}
root = RESULTS
folder = os.path.join(root, asked["dir"].strip("/").partition("/")[2])
names = json.loads(asked["files"]) if asked["files"].startswith("[") else [asked["files"]]
paths = [os.path.join(folder, name) for name in names]
if len(paths) == 1 and os.path.isfile(paths[0]):
    body = open(paths[0], "rb").read()
else:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in paths:
            for found in sorted(os.listdir(path)) if os.path.isdir(path) else [""]:
                archive.write(os.path.join(path, found).rstrip("/"), found or os.path.basename(path))
    body = packed.getvalue()
head = "Content-Type: application/octet-stream\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
sys.stdout.buffer.write(head.encode() + body)
"""
PAGE = "/index.php/apps/files/ajax/download.php"


def configured(product: Product, results: Path, **entry: Any) -> Product:
    acknowledge = {"match": "/results/{folder}/{stored_name}", "users": {"clinic12": "digawana"}} | entry
    route = {
        "folders": "./results",
        "takes": "files",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": f"{results}/{{folder}}", "manifest": "none"}],
        "acknowledge": [acknowledge],
    }
    return product.configure({"results": route})


def deliver(product: Product, *names: str) -> None:
    for name in names:
        product.drop(name, PDF, "results")
    product.drain()


def fetched(product: Product) -> list[str]:
    """What was acknowledged by now, by stored name."""
    product.run("start_log_reader")
    return [row["stored_as"] for row in product.history() if row["acknowledged_by"]]


def test_webdav_clients_acknowledge_by_get_alone(
    sqlite_product: Product, make_apache: Callable[..., Apache]
) -> None:
    apache = make_apache(_WEBDAV, ("dav", "dav_fs"))
    (apache.folder / "lock").mkdir()
    for folder in (apache.folder / "lock", apache.results / "digawana"):
        folder.chmod(0o777)
    product = configured(
        sqlite_product, apache.results, log=str(apache.full_log), format="dropslot", preset="webdav"
    )
    deliver(product, "digawana-1 é.pdf", "digawana-2.pdf")
    path = f"/results/digawana/{quote('digawana-1 é.pdf')}"
    listed = apache.get("/results/digawana/", method="PROPFIND", Depth="1")
    assert listed.status_code == 207 and b"digawana-2.pdf" in listed.content
    assert apache.get(path, method="PROPFIND", Depth="0").status_code == 207
    assert apache.get(path, method="HEAD").status_code == 200
    assert apache.get(path, method="OPTIONS").headers["DAV"]
    assert apache.put("/results/digawana/note.txt", b"from the clinic").status_code == 201
    assert apache.get("/results/digawana/note.txt").content == b"from the clinic"
    assert fetched(product) == []
    assert apache.get(path).content == PDF
    assert fetched(product) == ["digawana-1 é.pdf"]
    assert [row["matches"] for row in product.listing("log_readers")] == [0, 1]


@pytest.fixture
def cloud(make_apache: Callable[..., Apache]) -> Apache:
    apache = make_apache(_CLOUD, ("alias", "cgid"))
    program = apache.folder / "download"
    program.write_text(_DOWNLOAD.replace("RESULTS", repr(str(apache.results))))
    program.chmod(0o755)
    return apache


@pytest.fixture(params=["owncloud", "nextcloud"])
def clinics(request: pytest.FixtureRequest, sqlite_product: Product, cloud: Apache) -> Product:
    product = configured(
        sqlite_product,
        cloud.results,
        log=str(cloud.full_log),
        format=FULL[1:-1],
        preset=request.param,
        match="/viral_load/{folder}/{stored_name}",
    )
    deliver(product, "digawana-1.pdf", "digawana-2 é&+.pdf", "digawana-3.pdf", "molepo-4.pdf")
    return product


def asked(folder: str, files: str) -> str:
    """As the page writes it."""
    return f"{PAGE}?dir={quote(folder, safe='')}&files={quote(files, safe='')}&downloadStartSecret=k3fp2"


def test_one_file_of_the_clouds_page(clinics: Product, cloud: Apache) -> None:
    assert cloud.get(asked("/viral_load/digawana", "digawana-2 é&+.pdf")).content == PDF
    assert fetched(clinics) == ["digawana-2 é&+.pdf"]


def test_several_files_of_the_clouds_page(clinics: Product, cloud: Apache) -> None:
    names = ["digawana-1.pdf", "digawana-2 é&+.pdf"]
    packed = cloud.get(asked("/viral_load/digawana", json.dumps(names)))
    assert zipfile.ZipFile(io.BytesIO(packed.content)).namelist() == names
    assert fetched(clinics) == names


def test_file_of_another_clinic_on_the_clouds_page_is_an_access(clinics: Product, cloud: Apache) -> None:
    assert cloud.get(asked("/viral_load/molepo", "molepo-4.pdf")).content == PDF
    assert fetched(clinics) == []
    [event] = clinics.listing("events", "--kind", "accessed")
    assert (event["data"]["stored_as"], event["data"]["user"]) == ("molepo-4.pdf", "clinic12")


def test_clouds_webdav(clinics: Product, cloud: Apache) -> None:
    path = f"/remote.php/webdav/viral_load/digawana/{quote('digawana-2 é&+.pdf')}"
    assert cloud.get(path, method="HEAD").status_code == 200
    assert cloud.get(path).content == PDF
    assert fetched(clinics) == ["digawana-2 é&+.pdf"]


def test_nginx_writes_lines_that_are_read(sqlite_product: Product, nginx: Nginx) -> None:
    (nginx.results / "digawana").mkdir()
    product = configured(
        sqlite_product, nginx.results, log=str(nginx.access_log), format="nginx", preset="apache"
    )
    deliver(product, "digawana-1 é.pdf", "digawana-2.pdf", "digawana-3.pdf")
    odd = f"/results/digawana/{quote('digawana-1 é.pdf')}?download=1"
    assert nginx.get(odd, method="HEAD").status_code == 200
    etag = nginx.get("/results/digawana/digawana-3.pdf", user="").headers.get("ETag", "")
    assert etag == "" and fetched(product) == []
    assert nginx.get(odd).content == PDF
    half = len(PDF) // 2
    nginx.get("/results/digawana/digawana-2.pdf", Range=f"bytes=0-{half - 1}")
    assert fetched(product) == ["digawana-1 é.pdf"]
    nginx.get("/results/digawana/digawana-2.pdf", Range=f"bytes={half}-")
    assert fetched(product) == ["digawana-1 é.pdf", "digawana-2.pdf"]
    runs = product.listing("log_readers")
    assert sum(run["unreadable"] for run in runs) == 0
    assert sum(run["lines"] for run in runs) == nginx.access_log.read_bytes().count(b"\n")
    assert os.path.getsize(nginx.access_log)


def test_whole_folder_of_the_clouds_page(clinics: Product, cloud: Apache) -> None:
    packed = cloud.get(asked("/viral_load", "digawana"))
    assert len(zipfile.ZipFile(io.BytesIO(packed.content)).namelist()) == 3
    assert fetched(clinics) == ["digawana-1.pdf", "digawana-2 é&+.pdf", "digawana-3.pdf"]
    assert {row["evidence"] for row in clinics.listing("acknowledgments")} == {"packed"}
    deliver(clinics, "digawana-5.pdf")
    assert "digawana-5.pdf" not in fetched(clinics)
    for _ in range(2):
        cloud.get(asked("/viral_load", "digawana"))
    assert "digawana-5.pdf" in fetched(clinics)
    assert len(clinics.listing("acknowledgments")) == 4
    cloud.get(asked("/viral_load", "molepo"))
    cloud.get(asked("/viral_load", "digawana"), user="staff")
    assert "molepo-4.pdf" not in fetched(clinics)
    events = [event["data"] for event in clinics.listing("events", "--kind", "accessed")]
    assert [(event["user"], event["files"]) for event in events] == [("clinic12", 1), ("staff", 4)]


def test_folder_whose_download_has_too_few_bytes_acknowledges_nothing(
    clinics: Product, cloud: Apache
) -> None:
    small = cloud.results / "digawana" / "digawana-3.pdf"
    small.write_bytes(b"")  # as if it had come after the download: the packed folder lacks its bytes
    cloud.get(asked("/viral_load", "digawana"))
    assert fetched(clinics) == []
