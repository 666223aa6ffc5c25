"""What the documentation shows is what happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from documents import PAGES, REPOSITORY, Block, blocks, pages_with
from people import program
from ports import free_port
from warm_commands import script_for

_ELSEWHERE = '"(?:https?:)?//'
_LOADS = re.compile(
    rf'<(?:script|img|iframe)[^>]+src={_ELSEWHERE}|<link[^>]+rel="stylesheet"[^>]+href={_ELSEWHERE}'
)


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which `dropslot` is this checkout's, and `python` the one that it is installed in."""
    how = program()
    with script_for(tmp_path, how.command) as text:
        scripts = {"dropslot": text, "python": f'#!/bin/sh\nexec {sys.executable} "$@"\n'}
        for name, content in scripts.items():
            script = tmp_path / "bin" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(content)
            script.chmod(0o755)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DROPSLOT_", "DJANGO_"))}
        yield inherited | dict(how.environment) | {"PATH": f"{script.parent}:{os.environ['PATH']}"}


@pytest.fixture
def usual_ports() -> dict[str, str]:
    """The ports that pages name, and those that their commands get here: the usual ones may be taken."""
    return {usual: str(free_port()) for usual in ("8070", "11112", "4242", "8042")}


# It builds an archive and an installation with all that DICOM has, which takes longer than all other pages.
_LONG = ("dicom.md",)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.crash] if page.name in _LONG else [], id=page.name)
        for page in pages_with("test")
    ],
)
def test_commands_of_the_page_do_what_it_says(
    page: Path, commands: dict[str, str], usual_ports: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    try:
        for step in _steps(blocks(page)):
            script, printed = (_replaced(text, usual_ports) for text in step)
            # The working folder lasts from block to block, as it does for a reader.
            begin = f'cd "$(cat {tmp_path}/here 2>/dev/null || echo {folder})"'
            whole = f"set -euo pipefail\n{begin}\n{script}\npwd > {tmp_path}/here\n"
            done = subprocess.run(
                ["bash", "-c", whole], env=commands, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, (
                f"{script}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
            assert printed in done.stdout
            for config in folder.rglob("config.yaml"):  # made by init
                config.write_text(_replaced(config.read_text(), usual_ports))
    except BaseException:
        _end_what_was_started(folder)
        raise


def _replaced(text: str, words: Mapping[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)


def _end_what_was_started(folder: Path) -> None:
    for file in folder.rglob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGTERM)


def _steps(marked: list[Block]) -> Iterator[tuple[str, str]]:
    for block, following in zip(marked, [*marked[1:], Block("", "")], strict=True):
        if block.mark == "test":
            yield block.text, following.text.strip() if following.mark == "prints" else ""


@pytest.mark.parametrize("page", pages_with("config"), ids=lambda page: page.name)
def test_configurations_of_the_page_are_valid(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dropslot.config import load

    for block in blocks(page):
        if block.mark.startswith("file: "):
            target = tmp_path / block.mark.removeprefix("file: ")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    for block in blocks(page):
        if block.mark == "config":
            (tmp_path / "config.yaml").write_text(block.text)
            assert load(tmp_path / "config.yaml").routes


def test_configuration_reference_is_current() -> None:
    how = program()
    command = [sys.executable, "-m", "dropslot.config.reference"]
    environment = os.environ | dict(how.environment)
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    page = REPOSITORY / "docs" / "configuration.md"
    assert page.read_text() == made.stdout, "run `make docs`, which writes docs/configuration.md"


def test_pages_build_without_a_warning_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "operator" / "index.html").exists()
    assert not [page for page in tmp_path.rglob("*.html") if _LOADS.search(page.read_text())]


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(
        r"\]\(([^)#]+)[^)]*\)", "".join(page.read_text() for page in PAGES if page.name == "README.md")
    )
    assert links
    assert not [link for link in links if "://" not in link and not (REPOSITORY / link).exists()]
