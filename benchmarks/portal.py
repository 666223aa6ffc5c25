"""Server time of every listing's page with 1,000,000 deliveries and 100,000 arrivals, and of the pages of images with
1,000,000 more, in 5,000 series of 1,000 studies, on SQLite and PostgreSQL.

Each page is asked for as accounts of several roles, with searches for what is frequent, rare and absent, with each
filter, and in the middle and at the end of the listing. The limits are of all these requests of one page together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.report import Row, seconds

if TYPE_CHECKING:
    from django.test import Client

_REPOSITORY = Path(__file__).parent.parent
_DELIVERIES = 1_000_000
_MEDIAN_SECONDS, _P95_SECONDS = 0.150, 0.500
_INSTANCES = 1_000_000
_ROUTES = {
    "dicom": {
        "folders": "./dicom",
        "import": "dicom",
        "name": r"(?P<study>\w+)-(?P<sent>.+)",
        "deliver": [{"to": "./images/{study}/{sent}"}],
    },
    "study": {
        "folders": "./study",
        "takes": "directories",
        "name": r"(?P<study>\w+)-(?P<sent>.+)",
        "deliver": [{"to": "./studies/{study}"}],
    },
    "results": {
        "folders": "./results",
        "takes": "files",
        "name": r"(?P<folder>\w+)-.+",
        "deliver": [{"to": "./clinics/{folder}"}],
        "acknowledge": [
            {
                "log": "/var/log/apache2/access.log",
                "match": "/results/{folder}/{stored_name}",
                "users": {"clinic01": "clinic01"},
            }
        ],
    },
}


def measure(scratch: Path, trials: int) -> list[Row]:
    """Two rows for each page and database: the median, and the 95th percentile."""
    sys.path.insert(0, str(_REPOSITORY / "tests"))
    from postgres import PostgresServer  # type: ignore[import-not-found, unused-ignore]

    rows = _rows("SQLite", _on(scratch / "portal-sqlite", "sqlite", {}, trials))
    server = PostgresServer()
    server.start()
    try:
        server.execute("CREATE DATABASE portal")
        rows += _rows(
            "PostgreSQL",
            _on(scratch / "portal-postgresql", server.url("portal"), server.passwords, trials),
        )
    finally:
        server.stop()
    return rows


def _on(root: Path, database: str, passwords: dict[str, str], trials: int) -> dict[str, list[float]]:
    (root / "var").mkdir(parents=True)
    config = {"data": "./var", "database": database, "portal": {}, "routes": _ROUTES}
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    environment = os.environ | passwords
    environment |= {
        "DROPSLOT_CONFIG": str(root / "config.yaml"),
        "DROPSLOT_BENCH_ROOT": str(root),
        "PYTHONPATH": f"{_REPOSITORY / 'src'}:{_REPOSITORY}",
        "DJANGO_SETTINGS_MODULE": "dropslot.portal_settings",
    }
    for module, count in (("portal_data", _DELIVERIES), ("portal_images", _INSTANCES)):
        fill = [sys.executable, "-m", f"benchmarks.{module}", str(count)]
        subprocess.run(fill, env=environment, check=True)
    ask = [sys.executable, "-m", "benchmarks.portal", str(trials)]
    done = subprocess.run(ask, env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _rows(database: str, found: dict[str, list[float]]) -> list[Row]:
    rows = []
    for page, times in found.items():
        for what, value, limit in (
            ("median", median(times), _MEDIAN_SECONDS),
            ("95th percentile", quantiles(times, n=20)[-1], _P95_SECONDS),
        ):
            name = f"{page} on {database}, {what} of {len(times)} requests"
            rows.append(
                Row(name, seconds(value), "the limit", seconds(limit), value * 1000, limit * 1000, "ms")
            )
    return rows


_SEARCHES = (
    "sub-01",  # frequent
    "nii.gz",
    "needle",  # one file
    "066-1234",  # a few
    "nothing has this",
    "x",  # shorter than three letters
    "q7",
    "0f3a9",  # the beginning of a SHA-256
    "Building C",
    "tech07",
    "visit99997",
)
_FILTERS = (
    "",
    "route=results",
    "route=study&search=clinic",  # both frequent, never together
    "state=failed",
    "sender=rare",
    "sender=tech03&search=dementia",
    "field=study%3Dtiny",
    "field=study%3Dheart&search=eeg",
    "until=2024-02-01",
    "since=2025-11-01&until=2025-11-02",
    "since=2024-01-01&search=clinic07",
    "kind=refused",
)
_ACCOUNTS = ("ruth", "olga", "augusta", "rare", "tech05", "rita", "stella", "tina")
_PAGES = ("arrivals", "history", "pending", "unfetched", "acknowledgments", "log_readers", "trail")
_OF_IMAGES = ("patients", "studies", "series")
_IMAGE_QUERIES = (
    "",
    "search=P-00042",
    "search=Doe",
    "search=nothing has this",
    "patient=Roe",
    "accession=A00077",
    "modality=MR",
    "modality=PT",  # none
    "verdict=INCOMPLETE",
    "route=dicom&modality=CT&search=thorax",
    "dated_from=2026-01-01&dated_until=2026-01-31",
    "uid=1.2.3.42.3",
)


def _ask(trials: int, only: Collection[str]) -> dict[str, list[float]]:
    clients = dict(_clients())
    found: dict[str, list[float]] = defaultdict(list)
    for page, address, queries in _addresses():
        for name, client in clients.items() if not only or page in only else ():
            if client.get(address).status_code == 404:
                continue
            for query in queries:
                times, began_cpu = [], time.process_time()
                for _ in range(trials):
                    began = time.perf_counter()
                    answer = client.get(f"{address}?{query}")
                    times.append(time.perf_counter() - began)
                    assert answer.status_code == 200, (page, query)
                found[page].append(median(times))
                cpu = (time.process_time() - began_cpu) / trials * 1000
                told = (
                    f"  {median(times) * 1000:7.1f} ms ({cpu:.1f} ms of this process) {page} {name} {query}"
                )
                print(told, file=sys.stderr, flush=True)
    return found


def _addresses() -> Iterator[tuple[str, str, Iterable[str]]]:
    """Each page with its address and what it is asked for."""
    from django.urls import reverse

    from dropslot.dicom.models import Instance, Patient, Series, Study

    for page in _PAGES:
        yield page, reverse(f"dropslot:{page}"), list(_queries(page))
    for page in _OF_IMAGES:
        yield page, reverse(f"dropslot:{page}"), _IMAGE_QUERIES
        yield f"API {page}", f"/api/v1/dicom/{page}", _IMAGE_QUERIES
    more = ("uid=1.2.3.42.3.100", "series=42", "study=7", "cursor=500000", "search=Doe&cursor=500000")
    instances = (*_IMAGE_QUERIES, *more)
    yield "API instances", "/api/v1/dicom/instances", instances
    for page, model in (("patient", Patient), ("study", Study), ("one_series", Series), ("image", Instance)):
        keys = model._default_manager.order_by("pk").values_list("pk", flat=True)
        for pk in (keys[0], keys[len(keys) // 2 if model is not Instance else 500_000]):
            yield page, reverse(f"dropslot:{page}", args=[pk]), ("",)


def _queries(page: str) -> Iterator[str]:
    from dropslot.acknowledgments.models import Acknowledgment, LogReading
    from dropslot.arrivals.models import Arrival, Delivery
    from dropslot.audit.models import Event

    yield from _FILTERS
    yield from (f"search={text}" for text in _SEARCHES)
    models = {"arrivals": Arrival, "history": Delivery, "unfetched": Delivery, "trail": Event}
    models |= {"acknowledgments": Acknowledgment, "log_readers": LogReading}
    if page in models:
        keys = models[page]._default_manager.order_by("pk").values_list("pk", flat=True)
        count = keys.count()
        for place in (count // 2, 40):
            yield f"cursor={keys[place]}"
            yield f"search=i&cursor={keys[place]}"


def _clients() -> Iterator[tuple[str, Client]]:
    """An account of each role: some see much, some little."""
    from django.contrib.auth.models import User
    from django.test import Client

    from dropslot.access import accounts
    from dropslot.config import current

    bounds: dict[str, tuple[str, dict[str, Any]]] = {
        "olga": ("operator", {}),
        "augusta": ("auditor", {"routes": ("results",)}),
        "rare": ("sender", {}),
        "tech05": ("sender", {}),
        "rita": ("recipient", {"routes": ("results",), "folders": ("clinic07",)}),
        "ruth": ("recipient", {"routes": ("dicom",), "folders": ("heart",)}),
        "stella": ("study-runner", {"studies": ("heart",)}),
        "tina": ("study-runner", {"studies": ("tiny",)}),
    }
    for name in _ACCOUNTS:
        role, more = bounds[name]
        accounts.add(current(), accounts.Wanted(name, (role,), **more), "correct horse battery")
        client = Client()
        client.force_login(User.objects.get(username=name), "django.contrib.auth.backends.ModelBackend")
        yield name, client


def _index() -> None:
    from dropslot.acknowledgments import unfetched
    from dropslot.arrivals.listings.search import indexer

    indexer.begin()
    unfetched.begin()
    while indexer.catch_up(1000) + unfetched.catch_up(1000):
        pass


if __name__ == "__main__":
    import django
    from django.conf import settings

    django.setup()
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    _index()
    print(json.dumps(_ask(int(sys.argv[1]), sys.argv[2:])))
