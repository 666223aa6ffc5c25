"""Images and containers by buildah, without Docker and without a registry: each program runs in a root folder of its
own, with this machine's /usr and Python packages, read-only."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_PACKAGES = sysconfig.get_paths()["purelib"]
_LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}
_FOLDERS = ("dev", "etc", "opt", "proc", "run", "srv", "sys", "tmp", "usr", "var")


class Running(NamedTuple):
    """A container, and what it has printed."""

    process: subprocess.Popen[bytes]
    printed: Path

    def stop(self) -> int:
        """SIGTERM to dropslot, as `docker stop` sends it; its exit status."""
        if found := re.search(r"Started: pid (\d+)", self.printed.read_text()):
            os.kill(int(found[1]), signal.SIGTERM)
        return self.process.wait(60)


class Buildah:
    """A store of images in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str) -> str:
        """A command of buildah; what it prints."""
        done = subprocess.run(
            self._command(*arguments), capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def _command(self, *arguments: str) -> list[str]:
        store = ["--root", str(self._folder / "store"), "--runroot", str(self._folder / "run")]
        return ["buildah", *store, "--storage-driver", "vfs", *arguments]

    def make_base(self, image: str) -> None:
        """An image of Debian with Python: this machine's own, which `mounts` brings in."""
        container = self.run("from", "scratch")
        root = Path(self.run("mount", container))
        for name in _FOLDERS:
            (root / name).mkdir()
        (root / "tmp").chmod(0o1777)
        for name, target in _LINKS.items():
            (root / name).symlink_to(target)
        for name in ("passwd", "group", "nsswitch.conf", "localtime", "ssl"):
            copy = shutil.copytree if (Path("/etc") / name).is_dir() else shutil.copy
            copy(f"/etc/{name}", root / "etc" / name)
        self.run("umount", container)
        # pip finds the packages that are there already, so that it asks no registry.
        settings = {"PYTHONPATH": _PACKAGES, "PIP_NO_BUILD_ISOLATION": "false", "PATH": "/usr/bin:/bin"}
        for name, value in settings.items():
            self.run("config", "--env", f"{name}={value}", container)
        self.run("commit", "-q", container, image)
        self.run("rm", container)

    @property
    def mounts(self) -> list[str]:
        """What `make_base` leaves out."""
        return [f"--volume={path}:{path}:ro" for path in ("/usr", _PACKAGES)]

    def build(self, file: Path, context: Path, image: str, base: str) -> None:
        arguments = ["--isolation", "chroot", *self.mounts, "--build-arg", f"BASE={base}", "-f", str(file)]
        self.run("build", *arguments, "-t", image, str(context))

    def start(
        self, image: str, command: Sequence[str], volumes: Sequence[str], environment: dict[str, str]
    ) -> Running:
        """Start a container as `compose.yaml` would, with the entry point of the image."""
        program = [*self._entry_point(image), *command]
        started = self._in_container(image, program, volumes, environment)
        printed = self._folder / f"{len(self._started)}.log"
        with printed.open("wb") as out:
            process = subprocess.Popen(started, stdout=out, stderr=out, start_new_session=True)
        self._started.append(process)
        return Running(process, printed)

    def _entry_point(self, image: str) -> list[str]:
        entry: list[str] = json.loads(self.run("inspect", "--type", "image", image))["OCIv1"]["config"][
            "Entrypoint"
        ]
        return entry

    def _in_container(
        self, image: str, command: Sequence[str], volumes: Sequence[str], environment: dict[str, str]
    ) -> list[str]:
        container = self.run("from", "--pull-never", image)
        more = [f"--volume={volume}" for volume in volumes]
        more += [f"--env={name}={value}" for name, value in environment.items()]
        return self._command("run", "--isolation", "chroot", *self.mounts, *more, container, "--", *command)

    def close(self) -> None:
        """End what was started, and remove the store."""
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(60)
        self.run("rm", "--all")
        self.run("rmi", "--all", "--force")

    def ask(
        self, image: str, command: Sequence[str], volumes: Sequence[str], environment: dict[str, str]
    ) -> Any:
        """Run a command in a container until it ends."""
        started = self._in_container(image, command, volumes, environment)
        return subprocess.run(started, capture_output=True, text=True, timeout=120, check=False)
