"""What comes from the environment, the settings and the disk."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from configurations import BASE, config, route
from dropslot.cli.installing.installation import make
from dropslot.config import ConfigError, current, from_mapping, load, load_dotted, reference, secret
from dropslot.config.deliver_entries import Deliver
from dropslot.config.models import Config
from dropslot.config.models import Route as RouteModel
from dropslot.config.plugins import fault_of_dotted, make_importable
from dropslot.config.route_parts import Select, Space
from dropslot.config.schema import json_schema
from dropslot.config.secrets import django_secret_key
from dropslot.config.servers.databases import django_database
from dropslot.core.errors import DropslotError


def test_a_secret_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert secret("DROPSLOT_X") is None
    monkeypatch.setenv("DROPSLOT_X", "one")
    assert secret("DROPSLOT_X") == "one"
    (tmp_path / "x").write_text("two\n")
    monkeypatch.setenv("DROPSLOT_X_FILE", str(tmp_path / "x"))
    with pytest.raises(ConfigError, match="both are set"):
        secret("DROPSLOT_X")
    monkeypatch.delenv("DROPSLOT_X")
    assert secret("DROPSLOT_X") == "two"
    monkeypatch.setenv("DROPSLOT_X_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="DROPSLOT_X_FILE"):
        secret("DROPSLOT_X")


def test_postgresql_as_django_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSLOT_DATABASE_PASSWORD", "s3cr3t")
    made = django_database("postgresql://lab%40x@db.example:5433/drop%20slot?sslmode=require", Path("/data"))
    assert made["NAME"] == "drop slot"
    assert (made["USER"], made["HOST"], made["PORT"], made["PASSWORD"]) == (
        "lab@x",
        "db.example",
        "5433",
        "s3cr3t",
    )
    assert made["OPTIONS"].pop("sslmode") == "require"
    assert {"connect_timeout", "tcp_user_timeout"} <= made["OPTIONS"].keys()  # a lost server is given up
    assert django_database("postgresql:///d?host=/run/postgresql", Path("/data"))["HOST"] == "/run/postgresql"


def test_several_servers_of_one_database() -> None:
    made = django_database("postgresql://u@a:5433,b,c/d?target_session_attrs=read-write", Path("/data"))
    assert (made["HOST"], made["PORT"]) == ("a,b,c", "5433,,")
    assert made["OPTIONS"]["target_session_attrs"] == "read-write"
    assert django_database("postgresql://u@a,b/d", Path("/data"))["PORT"] == ""


def test_one_server_by_its_ipv6_address() -> None:
    made = django_database("postgresql://u@[fe80::1]:5433/d", Path("/data"))
    assert (made["HOST"], made["PORT"]) == ("fe80::1", "5433")


def test_sqlite_is_durable_and_waits_its_turn() -> None:
    made = django_database("sqlite", Path("/data"))
    assert made["NAME"] == "/data/dropslot.sqlite3"
    assert made["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "synchronous=FULL" in made["OPTIONS"]["init_command"]
    assert made["OPTIONS"]["timeout"] == 20


def test_the_key_is_made_once_however_many_start(tmp_path: Path) -> None:
    folder = tmp_path / "var/keys"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: django_secret_key(folder), range(32)))
    assert len(keys) == 1
    assert len(keys.pop()) == 64
    assert [path.name for path in folder.iterdir()] == ["django-secret"]
    assert stat.S_IMODE((folder / "django-secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


def test_a_key_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(DropslotError, match="neither be read nor made"):
        django_secret_key(tmp_path / "keys")


def test_the_settings_hold_a_mapping_a_path_or_the_configuration(settings: object, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path  # type: ignore[attr-defined]
    settings.DROPSLOT = {"routes": {"study": route()}}  # type: ignore[attr-defined]
    assert current().data == tmp_path / "var"
    assert current() is current()
    (tmp_path / "config.yaml").write_text("data: ./other\nroutes: {s: {folders: ./s, deliver: [{to: ./d}]}}")
    settings.DROPSLOT = "config.yaml"  # type: ignore[attr-defined]
    assert current().data == tmp_path / "other"
    made = config()
    settings.DROPSLOT = made  # type: ignore[attr-defined]
    assert current() is made
    settings.DROPSLOT = None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="DROPSLOT"):
        current()


def test_plugins_are_importable_and_replace_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "ownlab_hooks.py").write_text("def after(arrival): return 7\n")
    (folder / "json.py").write_text("raise SystemExit\n")
    make_importable(tmp_path)
    assert load_dotted("ownlab_hooks.after")(None) == 7
    assert load_dotted("plugins.ownlab_hooks.after")(None) == 7
    assert load_dotted("json.dumps") is json.dumps
    with pytest.raises(ImportError, match="has no nothing"):
        load_dotted("ownlab_hooks.nothing")


@pytest.mark.parametrize(
    "dotted", ["os.path.join", "json.dumps", "time.sleep", "dropslot.config.models.Route", "typing.Any"]
)
def test_what_can_be_imported_has_no_fault(dotted: str) -> None:
    assert fault_of_dotted(dotted) is None


@pytest.mark.parametrize("dotted", ["nowhere.x", "os.pathx.join", "json.decoder.x.y"])
def test_what_cannot_be_imported_has_one(dotted: str) -> None:
    assert "expected something that can be imported" in str(fault_of_dotted(dotted))


def test_nothing_is_run_to_find_a_module(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/costly.py").write_text("raise SystemExit('it was run')\n")
    make_importable(tmp_path)
    assert fault_of_dotted("costly.check") is None


def test_every_key_is_described_in_schema_and_reference() -> None:
    schema, text = json_schema(), reference.markdown()
    for model in (Config, RouteModel, Deliver, Select, Space):
        entries = schema if model is Config else schema["$defs"][model.__name__]
        written = {field.alias or name for name, field in model.model_fields.items() if not field.exclude}
        assert set(entries["properties"]) == written
        for name in written:
            assert entries["properties"][name]["description"].endswith(".")
            assert f"| `{name}` |" in text
    assert "base" not in schema["required"]
    assert schema["$defs"]["Route"]["properties"]["settle"]["default"] == "5s"
    json.dumps(schema)


def test_importing_dropslot_needs_neither_django_nor_pydantic() -> None:
    code = "import sys, dropslot; print({'django', 'pydantic', 'yaml', 'typer'} & set(sys.modules))"
    assert _python(code) == "set()"


def test_help_needs_no_django() -> None:
    code = (
        "import sys; from dropslot.cli import run; status = run(['--help']);"
        "print(status, {'django', 'pydantic'} & set(sys.modules))"
    )
    assert _python(code).splitlines()[-1] == "0 set()"


def test_a_command_loads_its_log_without_rich_which_can_be_loaded_later(tmp_path: Path) -> None:
    make(tmp_path / "new", "study")
    code = (
        "import sys; from pathlib import Path; from dropslot.cli.startup import configured;"
        f"configured(Path({str(tmp_path / 'new/config.yaml')!r})); print({{'structlog', 'rich'}} & set(sys.modules));"
        "import rich.cells"
    )
    assert _python(code).splitlines()[-1] == "{'structlog'}"


def test_the_recipe_loads_as_it_was_written(tmp_path: Path) -> None:
    make(tmp_path / "new", "study")
    made = load(tmp_path / "new/config.yaml")
    (study,) = made.routes.values()
    assert study.deliver[0].must_exist is None
    pattern = study.name
    assert pattern is not None
    for name, fields in {
        "heart-first": ("heart", None, "first"),
        "heart-pc17-2026-01-01": ("heart", "pc17", "pc17-2026-01-01"),
    }.items():
        found = pattern.fullmatch(name)
        assert found is not None
        assert (found["study"], found["location"], found["sent"]) == fields
    assert pattern.fullmatch("no study!") is None
    assert pattern.fullmatch("heart") is None, "each visit has a folder of its own"
    assert from_mapping({"routes": {"s": route()}}, BASE).worker_count == 2


def _python(code: str) -> str:
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source, "PATH": "/bin"},
    )
    return done.stdout.strip()
