"""What `deploy/` ships: the image is built, and its services are started as compose.yaml says."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from brokers import Broker
from containers import Buildah
from ports import free_port
from postgres import PostgresServer
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("brokers")
_REPOSITORY = Path(__file__).parents[2]
_DEPLOY = _REPOSITORY / "deploy"
_IMAGE, _UID = "localhost/dropslot", 10001


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    made = Buildah(tmp_path / "buildah")
    yield made
    made.close()


def addressed(text: str, database: str, broker: Broker, port: int) -> str:
    """The example's config.yaml with servers on this machine in place of the other containers."""
    for before, after in (
        ("postgresql://dropslot@database/dropslot", database),
        ("redis://broker:6379/0", broker.url),
        ("0.0.0.0:8070", f"127.0.0.1:{port}"),
        ("http://127.0.0.1:8070", f"http://127.0.0.1:{port}"),
    ):
        assert before in text
        text = text.replace(before, after)
    return text


def has_health(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            return bool(json.load(answer))
    except OSError:
        return False


@pytest.mark.crash
def test_the_image_delivers_as_compose_starts_it(
    buildah: Buildah,
    tmp_path: Path,
    postgres_url: str,
    postgres_server: PostgresServer,
    redis_broker: Broker,
) -> None:
    buildah.make_base("localhost/base")
    buildah.build(_DEPLOY / "Containerfile", _REPOSITORY, _IMAGE, "localhost/base")
    services: dict[str, Any] = yaml.safe_load((_DEPLOY / "compose.yaml").read_text())["services"]
    data, port, config = tmp_path / "data", free_port(), tmp_path / "config.yaml"
    for folder in (data, data / "studies"):
        folder.mkdir()
        os.chown(folder, _UID, _UID)
    example = (_DEPLOY / "config.yaml").read_text()
    config.write_text(addressed(example, postgres_url, redis_broker, port))
    volumes = [
        each.replace("./config.yaml", str(config)).replace("./data:", f"{data}:")
        for each in services["server"]["volumes"]
    ]
    running = {
        name: buildah.start(_IMAGE, services[name]["command"], volumes, postgres_server.passwords)
        for name in ("server", "worker")
    }
    wait_until(lambda: has_health(port), deadline_seconds=90, what="the portal answering")
    _drop(data / "study/inbox", "heart-pc17-visit1")
    delivered = data / "studies/heart/raw-data/pc17-visit1/a.txt"
    wait_until(delivered.exists, deadline_seconds=60, what="the delivery")
    program, *rest = services["server"]["healthcheck"]["test"][1:]
    health = buildah.ask(_IMAGE, [program, *rest], volumes, postgres_server.passwords)
    assert health.returncode == 0, health.stdout + health.stderr
    for name, each in running.items():
        assert each.stop() == 0, name


def _drop(inbox: Path, name: str) -> None:
    hidden = inbox / f".{name}"
    hidden.mkdir()
    (hidden / "a.txt").write_text("72")
    for path in (hidden / "a.txt", hidden):
        os.chown(path, _UID, _UID)
    hidden.rename(inbox / name)


def test_compose_names_what_the_containerfile_and_the_example_have() -> None:
    compose = yaml.safe_load((_DEPLOY / "compose.yaml").read_text())
    services, config = compose["services"], yaml.safe_load((_DEPLOY / "config.yaml").read_text())
    assert (
        f"@{next(name for name in services if 'postgres' in services[name]['image'])}/" in config["database"]
    )
    assert f"//{next(name for name in services if 'redis' in services[name]['image'])}:" in config["broker"]
    for name in ("server", "worker"):
        built = services[name]["build"]
        assert (_DEPLOY / built["context"] / built["dockerfile"]).is_file()
        assert set(services[name]["depends_on"]) <= set(services)
    assert set(compose["volumes"]) == {"database"}
