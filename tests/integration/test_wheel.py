"""What somebody gets who installs dropslot from a wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from importlib.metadata import distribution
from importlib.metadata import metadata as metadata_of
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from documents import REPOSITORY
from sshd import Sshd
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("wheel")  # what they share is made once

SOURCE = REPOSITORY / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_string(wheel.read(name).decode())


def test_a_wheel_has_every_file_of_the_source(wheel: zipfile.ZipFile) -> None:
    sources = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not _is_left_over(path)
    }
    assert sources - set(wheel.namelist()) == set()


def _is_left_over(path: Path) -> bool:
    return any(part.endswith(".egg-info") for part in path.parts)


def test_the_portals_pages_scripts_and_styles_are_in_it(wheel: zipfile.ZipFile) -> None:
    names = {name.removeprefix("dropslot/portal/") for name in wheel.namelist()}
    assert {
        "templates/dropslot/base.html",
        "static/dropslot/portal.css",
        "static/dropslot/portal.js",
    } <= names


def test_without_an_extra_only_what_the_sender_needs_is_installed(metadata: Message) -> None:
    needed = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    names = {re.split("[^A-Za-z0-9-]", need)[0].lower() for need in needed}
    assert names == {
        *(
            "asyncssh",
            "bcrypt",
            "cryptography",
            "keyring",
            "platformdirs",
            "pyyaml",
            "requests",
            "rich",
            "truststore",
            "typer",
        ),
    }


def test_the_server_is_one_extra_with_all_that_the_portal_imports(metadata: Message) -> None:
    needed = " ".join(need for need in metadata.get_all("Requires-Dist", []) if "extra == 'server'" in need)
    packages = ("django-allauth", "django-csp", "django-htmx", "django-ninja", "gunicorn", "whitenoise")
    assert [package for package in packages if not re.search(rf"\b{package}\b", needed, re.IGNORECASE)] == []


@pytest.fixture(scope="module")
def pc(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment that has the wheel and what it needs without an extra, and nothing else."""
    folder = tmp_path_factory.mktemp("pc")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/*/site-packages")
    for top in {path for dist in _needed("dropslot") for path in _tops(dist)}:
        (packages / top.name).symlink_to(top)
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "-q", "--no-compile", "--no-deps", "--no-index", str(wheel.filename)],
        check=True,
        capture_output=True,
    )
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    return folder / "bin" / "dropslot"


def _needed(name: str) -> set[str]:
    """The distributions that a distribution needs without extras, and those that these need."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        needs = map(Requirement, metadata_of(waiting.pop()).get_all("Requires-Dist") or [])
        new = {need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})} - found
        found |= new
        waiting += new
    return found


def _tops(name: str) -> set[Path]:
    files = distribution(name).files or []
    return {
        Path(str(distribution(name).locate_file(file.parts[0]))) for file in files if file.parts[0] != ".."
    }


def test_a_pc_gets_the_senders_commands_and_no_server(pc: Path) -> None:
    assert _run(pc, "--version").startswith("dropslot ")
    listed = _run(pc, "--help")
    assert "pip install 'dropslot[server]'" in listed
    assert "drain" not in listed
    done = subprocess.run([pc, "drain"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'dropslot[server]'" in done.stderr


def _run(pc: Path, *args: str) -> str:
    return subprocess.run([pc, *args], check=True, capture_output=True, text=True).stdout


_SENDS = """
import sys
from dropslot.cli import run
status = run(sys.argv[1:])
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("dropslot.")}
print("loaded:", *sorted(rooms), *sorted({"django", "structlog"} & set(sys.modules)))
sys.exit(status)
"""


def test_a_pc_sends_through_sshd_with_these_packages_alone(
    pc: Path, shared_sshd: Sshd, open_folder: Path, tmp_path: Path
) -> None:
    inbox = open_folder / "inbox"
    inbox.mkdir(mode=0o3773)
    (tmp_path / "s01.edat3").write_bytes(b"first")
    words = [
        "send",
        str(tmp_path / "s01.edat3"),
        "--to",
        shared_sshd.url(inbox),
        "--study",
        "heart",
        "--no-wait",
    ]
    keys = [f"--key={shared_sshd.key}", f"--known-hosts={shared_sshd.known_hosts}"]
    environment = {"PATH": "/usr/bin:/bin", "DROPSLOT_SENDER_HOME": str(tmp_path / "home")}
    command = [str(pc.with_name("python")), "-I", "-c", _SENDS, *words, *keys]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: cli config core sender sftp"
    (sent,) = inbox.glob("heart-*/data/s01.edat3")
    assert sent.read_bytes() == b"first"


def test_it_watches_without_watchdog_too(
    pc: Path, shared_sshd: Sshd, open_folder: Path, tmp_path: Path
) -> None:
    inbox = open_folder / "inbox"
    inbox.mkdir(mode=0o3773)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "s01.edat3").write_bytes(b"first")
    keys = f"key: {shared_sshd.key}, known_hosts: {shared_sshd.known_hosts}"
    folders = f"folders: {{eprime: {tmp_path / 'data'}}}"
    (tmp_path / "settings.yaml").write_text(
        f"presets: {{heart: {{to: '{shared_sshd.url(inbox)}', {keys}, {folders}}}}}"
    )
    environment = {"PATH": "/usr/bin:/bin", "DROPSLOT_SENDER_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [pc, "send", "--watch", "--settle", "0"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: list(inbox.glob("heart-*/data/eprime/s01.edat3")), what="the file")
    finally:
        process.terminate()
        process.wait(60)
