"""The portal in this process, on both databases: an installation with routes, accounts of every role, and a browser's
cookies for each of them; and the portal as a real process for real clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from databases import (
    Database,
    connected_to,
    made_once,
    on_postgres,
    on_sqlite,
    parametrize,
    postgres_settings,
    sqlite_settings,
)
from dropslot.access import accounts, visit_trail
from dropslot.arrivals.models import Arrival
from dropslot.arrivals.workers import drain
from dropslot.config import Config, from_mapping
from dropslot.config.route_folders import all_folders
from imaging import record_images
from inherited import environment
from ports import free_port
from postgres import PostgresServer
from product import Product
from waiting import wait_until

PASSWORD = "correct horse battery"


@dataclass
class Site:
    """An installation with two routes, `study` (folders, by study) and `results` (single files, by clinic)."""

    root: Path
    config: Config
    _clients: dict[str, Client] = field(default_factory=dict)

    def account(self, name: str, role: str, **bounds: Any) -> User:
        """An account with a role; bounds: routes, folders, studies, each a tuple."""
        made = accounts.add(self.config, accounts.Wanted(name, (role,), **bounds), PASSWORD)
        user: User = made.user
        return user

    def client(self, name: str) -> Client:
        """Signed in as this account; '' is nobody."""
        if name not in self._clients:
            self._clients[name] = client = Client()
            if name:
                client.force_login(
                    User.objects.get(username=name), "django.contrib.auth.backends.ModelBackend"
                )
        return self._clients[name]

    def drop(self, route: str, name: str, content: bytes | dict[str, bytes] = b"content") -> None:
        """Put a file, or a folder of items, into a route's inbox."""
        inbox = next(folders.inbox for folders in all_folders(self.config) if folders.route.key == route)
        if isinstance(content, bytes):
            (inbox / name).write_bytes(content)
            return
        (inbox / name).mkdir()
        for item, data in content.items():
            path = inbox / name / item
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def deliver(self, sender: str = "") -> None:
        """Deliver what lies in the inboxes; `sender` then counts as who sent what is new."""
        before = set(Arrival.objects.values_list("id", flat=True))
        drain.drain(self.config, now=True)
        if sender:
            Arrival.objects.exclude(id__in=before).update(sender=sender)

    def arrival(self, name: str) -> Arrival:
        return Arrival.objects.get(name=name)


def routes(root: Path) -> dict[str, Any]:
    """What `Site` has."""
    return {
        "study": {
            "folders": str(root / "study"),
            "takes": "directories",
            "name": r"(?P<study>\w+)-(?P<sent>.+)",
            "deliver": [{"to": str(root / "studies" / "{study}" / "{sent}")}],
        },
        "results": {
            "folders": str(root / "results"),
            "takes": "files",
            "name": r"(?P<folder>\w+)-.+",
            "select": {"patterns": ["*.pdf", "*.txt"]},
            "deliver": [{"to": str(root / "clinics" / "{folder}")}],
        },
    }


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that says BOTH_DATABASES has its sites on each; for the others the database makes no difference, and
    `test_every_page` asks for each page on both (on PostgreSQL in `make crash`)."""
    both = getattr(metafunc.module, "BOTH_DATABASES", False)
    parametrize(metafunc, ("site_database", "served_database"), on_both=both)


@pytest.fixture(scope="session")
def sqlite_accounts(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Path:
    """A SQLite database with the accounts of `site`."""
    folder = tmp_path_factory.mktemp("accounts")
    file = folder / "accounts.sqlite3"
    shutil.copyfile(sqlite_template, file)
    with django_db_blocker.unblock(), connected_to(sqlite_settings(file)):
        _make_accounts(folder)
    return file


@pytest.fixture(scope="session")
def postgres_accounts(
    postgres_server: PostgresServer,
    postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: Any,
) -> str:
    """The same on PostgreSQL."""
    postgres_server.copy_database(postgres_template, "accounts")
    settings = postgres_settings(postgres_server.url("accounts"))
    with django_db_blocker.unblock(), connected_to(settings):
        _make_accounts(tmp_path_factory.mktemp("accounts"))
    return "accounts"


def _make_accounts(folder: Path) -> None:
    config = _config(folder)
    with override_settings(DROPSLOT=config, BASE_DIR=folder):
        made = Site(folder, config)
        made.account("olga", "operator")
        made.account("augusta", "auditor")
        made.account("adam", "administrator")
        made.account("sam", "sender")
        made.account("rita", "recipient", routes=("results",), folders=("north",))
        made.account("stella", "study-runner", studies=("heart",))
        User.objects.create_user("nobody", password=PASSWORD)


def _config(root: Path) -> Config:
    return from_mapping({"data": str(root / "var"), "portal": {}, "routes": routes(root)}, root)


@pytest.fixture
def site_database(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any
) -> Iterator[Database]:
    """The database of `site`, with its accounts: SQLite, or each in turn."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_accounts")
        on = on_sqlite(template, tmp_path, django_db_blocker)
    else:
        server = request.getfixturevalue("postgres_server")
        on = on_postgres(server, request.getfixturevalue("postgres_accounts"), django_db_blocker)
    with on as database:
        yield database


@pytest.fixture
def site(
    site_database: Database, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """In this process. Accounts: olga operator, augusta auditor, adam administrator, sam
    sender, rita recipient of the folder `north`, stella study runner of `heart`, nobody without a role."""
    config = _config(tmp_path)
    # A test records what was noted itself: a thread would do it while other tests run.
    monkeypatch.setattr(visit_trail.Trail, "_run", lambda _: None)
    settings.DROPSLOT = config
    settings.BASE_DIR = tmp_path
    for folders in all_folders(config):
        for folder in (folders.inbox, folders.processing, folders.done, folders.failed):
            folder.mkdir(parents=True, exist_ok=True)
    for place in ("studies", "clinics"):
        (tmp_path / place).mkdir()
    yield Site(tmp_path, config)
    visit_trail.end()


@pytest.fixture
def filled_site(site: Site) -> Site:
    """With what `page_table` names: heart-1 of sam; of olga lung-1, north-1.pdf, south-1.txt, and bad, which failed.
    Three of them have rows of images."""
    site.drop("study", "heart-1", {"scan": b"a"})
    site.deliver("sam")
    site.drop("study", "lung-1", {"scan": b"b"})
    site.drop("results", "north-1.pdf", b"%PDF-1.4 n")
    site.drop("results", "south-1.txt", b"south")
    site.drop("study", "bad", {"scan": b"c"})
    site.deliver("olga")
    for name in ("heart-1", "lung-1", "north-1.pdf"):
        record_images(name)
    return site


@dataclass
class Served:
    """A portal that runs as a process of its own: `portal` alone, or `run` with watcher and workers."""

    product: Product
    port: int
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def account(self, name: str, role: str, *more: str) -> None:
        file = self.product.root / "password"
        file.write_text(PASSWORD)
        self.product.run("adduser", name, "--role", role, "--password-file", str(file), *more)

    def start(self, command: str = "portal") -> Served:
        """Start it, and wait until it answers."""
        self.process = self.product.start(command)
        wait_until(self.answers, deadline_seconds=60, what="the portal's answer")
        return self

    def answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/account/login/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def installed(product: Product, changed: Mapping[str, Any] | None = None, **portal: Any) -> Served:
    """An installation with the routes of `Site`, whose portal has a free port; with more keys of the portal, and other
    routes in place of those of the same name."""
    port = free_port()
    wanted = {**routes(product.root), **(changed or {})}
    product.configure(wanted, portal={"listen": f"127.0.0.1:{port}", **portal})
    for place in ("studies", "clinics"):
        (product.root / place).mkdir(exist_ok=True)
    begin_with_static_files(product)
    return Served(product, port)


_folders: list[pytest.TempPathFactory] = []


@pytest.fixture(scope="session", autouse=True)
def _folders_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    _folders.append(tmp_path_factory)


def _collect_static_files(aside: Path) -> None:
    """As the first start of a portal does."""
    root = aside.with_name("collecting")
    root.mkdir()
    product = Product(root).configure(portal={})
    own = {"DROPSLOT_CONFIG": str(product.config), "DJANGO_SETTINGS_MODULE": "dropslot.portal_settings"}
    code = "import django; django.setup()\nfrom dropslot.portal.serving.web_server import collect_static as c; c()"
    subprocess.run([sys.executable, "-c", code], env=environment() | own, check=True)
    (root / "var" / "portal" / "static").rename(aside)


def begin_with_static_files(product: Product) -> None:
    """As if an earlier start had collected them: to compress them takes most of a portal's first start."""
    collected = made_once(_folders[0], "static", _collect_static_files)
    folder = product.root / "var" / "portal"
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    shutil.copytree(collected, folder / "static", copy_function=os.link)


@contextmanager
def lasting(folder: Path, template: Path) -> Iterator[Served]:
    """`installed` for the tests of a module, with a copy of this SQLite file."""
    product = Product(folder)
    product.begin_with(template)
    try:
        yield installed(product)
    finally:
        product.close()


@pytest.fixture
def served_database(request: pytest.FixtureRequest) -> str:
    """What config.yaml's `database:` takes for `served`: SQLite, or each in turn."""
    url: str = "sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def served(make_product: Callable[..., Product], served_database: str) -> Served:
    """`installed`; `start` starts it."""
    return installed(make_product(served_database))
