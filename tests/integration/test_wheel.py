"""What somebody gets who installs dropslot from a wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from documents import REPOSITORY

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


def test_the_command_starts_without_the_extra(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """It says what is missing, in words."""
    wheel.extractall(tmp_path)
    script = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p];"
    script += f"sys.path.insert(0, {str(tmp_path)!r}); from dropslot.cli import main; sys.exit(main())"
    command = [sys.executable, "-I", "-c", script, "portal"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "dropslot[server]" in done.stderr
    assert "Traceback" not in done.stderr
