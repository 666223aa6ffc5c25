"""dropslot in Python: routes as objects, and a server for them.

from dropslot import Route, Server

Server([Route(key="study", folders="./study", deliver=[{"to": "./delivered"}])], data="./var").observe()
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropslot.config import Config, Route, from_mapping
from dropslot.config.secrets import django_secret_key
from dropslot.config.servers.databases import django_database
from dropslot.core.apps import INSTALLED


class Server:
    """What `dropslot run` does, for routes that were made in Python.

    `data` is the folder of database, logs and keys; other keywords are the keys of config.yaml, such as
    `database` or `worker_count`. Relative paths are beneath `base`, the working folder unless it is given.
    Raises ConfigError with every mistake.
    """

    def __init__(
        self, routes: Sequence[Route], *, data: str | Path = "./var", base: Path | None = None, **keys: Any
    ) -> None:
        mapping = {**keys, "data": str(data), "routes": {route.key: route for route in routes}}
        self.config: Config = from_mapping(mapping, base or Path.cwd())

    def configure(self) -> None:
        """Set Django up. If a project has done so already, its database is used, and its DROPSLOT becomes this.
        Raises OthersInstallation for root, when the data folder is another account's."""
        import django
        from django.conf import settings

        from dropslot.cli.run_as_owner import hand_over

        hand_over(self.config.data)
        if settings.configured or "DJANGO_SETTINGS_MODULE" in os.environ:
            settings.DROPSLOT = self.config
        else:
            settings.configure(**self._settings())
        django.setup()

    def observe(self) -> None:
        """Bring the database up to date, and serve in the foreground until SIGTERM or Ctrl-C.

        Raises DatabaseUnready when the database cannot be used.
        """
        self.configure()
        from django.db import connections

        from dropslot.arrivals.upkeep.database import prepare
        from dropslot.arrivals.workers import supervised_processes
        from dropslot.running import daemon

        prepare()
        connections.close_all()  # descriptors do not cross the forks that follow
        daemon.foreground(self.config, lambda life: supervised_processes.serve(self.config, life))

    def _settings(self) -> dict[str, Any]:
        return {
            "DROPSLOT": self.config,
            "DROPSLOT_MIGRATES": True,
            "SECRET_KEY": django_secret_key(self.config.keys),
            "INSTALLED_APPS": INSTALLED,
            "DATABASES": {"default": django_database(self.config.database, self.config.data)},
            "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
            "LOGGING_CONFIG": None,
            "USE_TZ": True,
            "TIME_ZONE": "UTC",
        }
