"""`doctor` looks at every access log, and says what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from people import Person
from product import Product
from sshd import Sshd

LINE = '10.0.0.1 - c [22/Nov/2026:05:13:16 +0000] "GET /x HTTP/1.1" 200 5 "-" "-"\n'


def configured(product: Product, log: Path | str, to: str = "./studies/{folder}", **entry: Any) -> Product:
    keys = {
        "log": str(log),
        "match": "/results/{folder}/{stored_name}",
        "users": {"clinic12": "digawana", "both": ["digawana", "molepo"], "all": "*"},
    } | entry
    deliver = {"to": to}
    if to.startswith("sftp"):
        deliver |= {name: keys.pop(name) for name in ("key", "known_hosts")}
    route = {
        "folders": "./results",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [deliver],
        "acknowledge": [keys],
    }
    return product.configure({"results": route})


def findings(product: Product, status: int | None = 0, **options: Any) -> list[tuple[str, str, str]]:
    """Level, what and remedy of all that is about the log."""
    rows = product.run("doctor", "--json", status=status, **options).objects
    return [(row["level"], row["what"], row["remedy"]) for row in rows if ", log " in row["about"]]


@pytest.fixture
def log(sqlite_product: Product) -> Path:
    """A log that is well, and the folders of its users."""
    for folder in ("digawana", "molepo"):
        (sqlite_product.studies / folder).mkdir()
    path = sqlite_product.root / "logs" / "access.log"
    path.parent.mkdir()
    path.write_text(LINE * 30)
    return path


def test_log_that_is_well_is_said_to_be(sqlite_product: Product, log: Path) -> None:
    (log.parent / "access.log.1").write_text(LINE)
    (log.parent / "access.log.2.gz").write_bytes(b"")
    configured(sqlite_product, log)
    assert findings(sqlite_product) == [
        ("ok", "its last 20 lines are of the format combined; rotated ones beside it: 2", "")
    ]
    log.write_text("")
    (log.parent / "access.log.1").unlink()
    (log.parent / "access.log.2.gz").unlink()
    [(level, what, _)] = findings(sqlite_product)
    assert (level, "has no lines yet" in what) == ("ok", True)


def test_log_that_is_missing_is_an_error(sqlite_product: Product, log: Path) -> None:
    configured(sqlite_product, log.with_name("none.log"))
    [(level, what, remedy)] = findings(sqlite_product, status=1)
    assert level == "error" and "none.log does not exist" in what and "Correct `log`" in remedy
    configured(sqlite_product, log.parent / "nowhere" / "x.log")
    [(level, what, _)] = findings(sqlite_product, status=1)
    assert level == "error" and "does not exist" in what
    configured(sqlite_product, log.parent)
    assert "is not a file" in findings(sqlite_product, status=1)[0][1]


def test_log_of_another_format_is_shown_with_a_line_of_it(sqlite_product: Product, log: Path) -> None:
    configured(sqlite_product, log, format="common")
    [(level, what, remedy)] = findings(sqlite_product, status=1)
    assert level == "error" and "its last 20 lines are not of the format common" in what
    assert "GET /x" in what and "LogFormat" in remedy
    with log.open("a") as stream:
        stream.write('h - u [22/Nov/2026:05:13:16 +0000] "GET /\x1b[2J HTTP/1.1" 200 5\n')
    [(level, what, _)] = findings(sqlite_product)
    assert level == "warning" and "19 of its last 20 lines are not" in what
    configured(sqlite_product, log)
    [(level, what, _)] = findings(sqlite_product)
    assert level == "warning" and "\\x1b[2J" in what and "\x1b" not in what


def test_folders_of_users_that_are_nowhere_are_warned_of(sqlite_product: Product, log: Path) -> None:
    configured(sqlite_product, log, users={"clinic12": "digawanna", "c2": ["digawanna", "molepo"], "x": "*"})
    [_, (level, what, remedy)] = findings(sqlite_product)
    assert (
        level == "warning"
        and "clinic12, c2" in what
        and f"there is no {sqlite_product.studies}/digawanna" in what
    )
    assert "correct `users`" in remedy


def test_folders_that_a_table_knows_need_not_be_there_yet(sqlite_product: Product, log: Path) -> None:
    entry = {
        "log": str(log),
        "match": "/r/{folder}/{date:%Y}/{stored_name}",
        "users": {"a": "soon", "b": "never"},
    }
    route = {
        "folders": "./results",
        "lookup": [{"field": "folder", "table": "table.csv", "label": "L", "hint": r"^\d+"}],
        "deliver": [{"to": "./studies/{folder}/{date:%Y}"}],
        "acknowledge": [entry],
    }
    (sqlite_product.root / "table.csv").write_text("base_path,folder,folder_tag,label\n/,soon,1,L\n")
    sqlite_product.configure({"results": route})
    sqlite_product.run("load_remote_folders", "table.csv")
    [_, (level, what, _)] = findings(sqlite_product)
    assert level == "warning" and "lets b acknowledge for never" in what


def test_log_that_the_account_may_not_read_or_whose_folder_it_may_not_list(
    make_product: Callable[..., Product], open_folder: Path, service_user: Person
) -> None:
    product = make_product(root=open_folder / "p")
    log = open_folder / "logs" / "access.log"
    log.parent.mkdir()
    log.write_text(LINE)
    for folder in ("digawana", "molepo"):
        (product.studies / folder).mkdir()
    configured(product, log)
    service_user.owns(product.root, *product.root.rglob("*"))
    log.chmod(0o640)
    told = findings(product, status=None, as_person=service_user)
    assert ("error", f"The log {log} cannot be read: Permission denied") in [found[:2] for found in told]
    assert "adduser ACCOUNT adm" in told[0][2]
    log.chmod(0o644)
    log.parent.chmod(0o711)
    told = findings(product, status=None, as_person=service_user)
    assert told[0][0] == "error" and "cannot be listed, so rotated logs cannot be found" in told[0][1]
    log.parent.chmod(0o755)
    assert findings(product, status=None, as_person=service_user)[0][0] == "ok"


def test_log_and_folders_at_a_server(sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "digawana").mkdir(parents=True)
    (tmp_path / "access.log").write_text(LINE)
    keys = {"key": str(shared_sshd.key), "known_hosts": str(shared_sshd.known_hosts)}
    to, log = shared_sshd.url(site) + "/{folder}", shared_sshd.url(tmp_path / "access.log")
    configured(sqlite_product, log, to, **keys)
    [well, (level, what, _)] = findings(sqlite_product)
    assert well[0] == "ok" and "its last line is of the format" in well[1]
    assert level == "warning" and "lets both acknowledge for molepo" in what
    configured(sqlite_product, shared_sshd.url(tmp_path / "none.log"), to, **keys)
    assert "does not exist" in findings(sqlite_product, status=1)[0][1]
    configured(sqlite_product, log, known_hosts=str(tmp_path / "unknown"), key=keys["key"])
    [(level, what, remedy), *_] = findings(sqlite_product, status=1)
    assert level == "error" and "SHA256:" in what and "dropslot trust_host" in remedy


def test_trust_host_knows_the_file_of_a_log(
    sqlite_product: Product, shared_sshd: Sshd, tmp_path: Path
) -> None:
    (tmp_path / "access.log").write_text(LINE)
    known_hosts = tmp_path / "hosts of logs"
    log = shared_sshd.url(tmp_path / "access.log")
    configured(sqlite_product, log, known_hosts=str(known_hosts), key=str(shared_sshd.key))
    remedy = findings(sqlite_product, status=1)[0][2]
    command = remedy.partition("dropslot trust_host ")[2].split()[0].rstrip(".")
    sqlite_product.run("trust_host", command, "--yes")
    assert known_hosts.exists()
    assert findings(sqlite_product)[0][0] == "ok"
