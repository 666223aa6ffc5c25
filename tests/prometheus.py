"""A Prometheus server that scrapes one address every second: its own folder, its own free port."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from ports import free_port
from waiting import wait_until


class Prometheus:
    """`ask` evaluates a query, as Grafana does."""

    def __init__(self, folder: Path, target: str) -> None:
        self._folder = folder
        self._port = free_port()
        folder.mkdir()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "dropslot", "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples of an instant query; empty while the server does not answer."""
        try:
            with urlopen(
                f"http://127.0.0.1:{self._port}/api/v1/query?query={quote(query)}", timeout=5
            ) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return found

    def wait_for_scrapes(self, count: int) -> None:
        """Until so many scrapes are stored."""
        query = f"count_over_time(dropslot_process_up[1m]) >= {count}"
        wait_until(lambda: self.ask(query), deadline_seconds=60, what="scrapes")


@pytest.fixture
def prometheus_of(tmp_path: Path) -> Iterator[Callable[[str], Prometheus]]:
    """Start a server that scrapes `HOST:PORT`."""
    if not shutil.which("prometheus"):
        pytest.skip("needs prometheus: setup/packages test")
    started: list[Prometheus] = []

    def start(target: str) -> Prometheus:
        started.append(Prometheus(tmp_path / f"prometheus{len(started)}", target))
        started[-1].start()
        return started[-1]

    yield start
    for server in started:
        server.stop()
