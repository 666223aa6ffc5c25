"""What `init` makes: a folder with config.yaml, its schema, manage.py, and the folders of the recipe."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from dropslot.config import Config
from dropslot.config.load_config import parse
from dropslot.config.route_folders import INBOX_MODE
from dropslot.config.schema import json_schema
from dropslot.config.secrets import PRIVATE_MODE
from dropslot.core.errors import DropslotError
from dropslot.core.names import escape
from dropslot.core.templates import Template

CONFIG, SCHEMA, MANAGE = "config.yaml", "config.schema.json", "manage.py"
SHARED_MODE = 0o755
_RECIPES = files("dropslot.cli") / "recipes"
# A configuration is made of the routes of one recipe or several; the first gives what is above them.
PARTS = {
    "study": ("study",),
    "results": ("results",),
    "dicom": ("dicom",),
    "all": ("study", "results", "dicom"),
}
_TABLES = {"results": "remote_folders.csv"}
_NEXT = {
    "study": (
        "Next, drop a folder under the name STUDY-VISIT or STUDY-PC-VISIT, and deliver it:",
        "  cp -r SOME_FOLDER {inbox}/mystudy-me-visit1",
    ),
    "results": (
        "Next, put your clinics into {root}/remote_folders.csv, drop a result, and deliver it:",
        "  cp 066-12345678-1.pdf {inbox}/",
    ),
    "dicom": (
        "Next, drop a folder of DICOM files, and deliver it:",
        "  cp -r SOME_FOLDER {inbox}/visit1",
    ),
}


@dataclass(slots=True)
class Installation:
    """What was made where, in the order in which it was made."""

    root: Path
    inbox: Path
    recipe: str
    made: list[str] = field(default_factory=list)

    def in_words(self) -> str:
        """What was made, and what to do next."""
        config = shlex.quote(escape(str(self.root / CONFIG)))
        places = {"root": escape(str(self.root)), "inbox": shlex.quote(escape(str(self.inbox)))}
        lines = [f"Made in {escape(str(self.root))}:", *(f"  {line}" for line in self.made), ""]
        if "dicom" in PARTS[self.recipe] and find_spec("pydicom") is None:
            lines += ["The route dicom needs one thing more: pip install 'dropslot[dicom]'", ""]
        lines += [
            *(line.format(**places) for line in _NEXT[PARTS[self.recipe][0]]),
            f"  dropslot drain -c {config}",
            f"  dropslot history -c {config}",
            f"`dropslot run -c {config}` keeps running and delivers whatever arrives;",
            f"`dropslot install_service -c {config}`, as root, makes it a service of systemd.",
        ]
        return "\n".join(lines)


def make(root: Path, recipe: str) -> Installation:
    """Make an installation in `root`, which may exist; what is there already stays as it is.

    Raises DropslotError when there is a config.yaml already, before anything is written. config.yaml is
    written last: after a crash the same command finishes the work.
    """
    root = Path(os.path.abspath(root))
    target = root / CONFIG
    if os.path.lexists(target):
        raise DropslotError(
            f"{escape(str(target))} already exists and was not replaced",
            where="Nothing was written",
            next_step="Choose another folder, or move that file away",
        )
    root.mkdir(parents=True, exist_ok=True)
    # Read as it will be read later, which is also the proof that the recipe has no mistake.
    config = parse(_configuration(recipe), root, str(target))
    route = next(iter(config.routes.values()))
    installation = Installation(root, Path(Template(route.inbox).fixed), recipe)
    installation.made += _make_folders(config)
    installation.made += _write_files(root, recipe)
    return installation


def _make_folders(config: Config) -> Iterator[str]:
    yield from _folder(config, config.data, PRIVATE_MODE, "database, logs and keys")
    for route in config.routes.values():
        yield from _folder(config, Path(route.folders), SHARED_MODE, f"the route {route.key}")
        yield from _folder(config, Path(route.inbox), INBOX_MODE, "anyone may drop here; nobody can list it")
        for name in ("processing", "done", "failed"):
            yield from _folder(config, Path(getattr(route, name)), PRIVATE_MODE, "")
        for deliver in route.deliver:
            if deliver.folder_here:
                yield from _folder(config, Path(deliver.folder_here), SHARED_MODE, "what is delivered")


def _folder(config: Config, path: Path, mode: int, meaning: str) -> Iterator[str]:
    if path.is_dir():
        return
    path.mkdir(parents=True, mode=PRIVATE_MODE)
    path.chmod(mode)
    yield f"{escape(os.path.relpath(path, config.base)) + '/':<20} {mode:>4o}  {meaning}".rstrip()


def _write_files(root: Path, recipe: str) -> Iterator[str]:
    schema = json.dumps(json_schema(), indent=2) + "\n"
    yield from _file(root / SCHEMA, schema, 0o644, "lets editors check config.yaml")
    yield from _file(root / MANAGE, _text(MANAGE), 0o755, "the same commands, and Django's own")
    for part in PARTS[recipe]:
        if table := _TABLES.get(part):
            yield from _file(root / table, _text(table), 0o644, "which clinic has which folder")
    yield from _file(root / CONFIG, _configuration(recipe), 0o644, "the configuration: read and change it")


def _file(path: Path, text: str, mode: int, meaning: str) -> Iterator[str]:
    if os.path.lexists(path):
        return
    # Exclusively: what someone else puts there in the meantime is not replaced either.
    with path.open("x", encoding="utf-8") as stream:
        stream.write(text)
        os.fchmod(stream.fileno(), mode)
    yield f"{path.name:<20} {mode:>4o}  {meaning}"


def _configuration(recipe: str) -> str:
    first, *others = (_text(f"{part}.yaml") for part in PARTS[recipe])
    return "\n".join([first, *(other.partition("\nroutes:\n")[2] for other in others)])


def _text(name: str) -> str:
    return (_RECIPES / name).read_text(encoding="utf-8")
