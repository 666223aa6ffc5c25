"""`init` makes something that delivers at once; the command line answers in words."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from dicom.images import STUDY_UID, series
from inherited import environment
from pdfs import SPECIMEN, pdf
from people import program
from product import write_tree
from warm import Done, warm

ROOT = Path(__file__).parents[2]


def run(*args: str | Path, status: int = 0, cwd: Path | None = None, **more: str) -> Done:
    own = {k: v for k, v in environment().items() if not k.startswith(("DJANGO_", "DROPSLOT_"))}
    own |= program().environment
    done = warm(own, str(args[0])).run(list(map(str, args)), own | more, cwd or Path.cwd(), 120)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def manage(
    folder: Path, *args: str | Path, status: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return _process([sys.executable, str(folder / "manage.py"), *map(str, args)], status, cwd, {})


def _process(
    command: list[str], status: int, cwd: Path | None, more: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_"))}
    environment = inherited | {"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"} | more
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_makes_the_folders_with_their_modes(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    said = run("init", home, "--recipe", "study").stdout
    assert mode(home / "study/inbox") == 0o3773
    assert {mode(home / name) for name in ("study/processing", "study/done", "study/failed", "var")} == {
        0o700
    }
    assert os.access(home / "manage.py", os.X_OK)
    assert (
        (home / "config.yaml").read_text().startswith("# yaml-language-server: $schema=config.schema.json\n")
    )
    assert (home / "config.schema.json").exists()
    assert f"dropslot drain -c {home}/config.yaml" in said
    assert "must_exist" in (home / "config.yaml").read_text()
    assert (
        "must_exist"
        not in yaml.safe_load((home / "config.yaml").read_text())["routes"]["study"]["deliver"][0]
    )


@pytest.mark.parametrize("how", ["dropslot", "manage.py"])
def test_what_init_made_delivers_at_once(tmp_path: Path, how: str) -> None:
    run("init", tmp_path)
    write_tree(tmp_path / "aside", {"a/scan.txt": b"1"}).rename(tmp_path / "study/inbox/heart-first")
    if how == "dropslot":
        run("drain", "--now", cwd=tmp_path)
    else:
        manage(tmp_path, "drain", "--now", cwd=tmp_path.parent)
    delivered = tmp_path / "studies/heart/raw-data/first/a/scan.txt"
    assert delivered.read_bytes() == b"1"
    assert mode(delivered) == 0o640


def test_the_study_recipe_keeps_participants_computers_and_visits_apart(tmp_path: Path) -> None:
    run("init", tmp_path)
    sent = ("heart-pc17-anna", "heart-pc17-bert", "heart-pc18-anna", "heart-anna", "brain-pc17-anna")
    for number, name in enumerate((*sent, "heart", "heart-")):
        aside = write_tree(tmp_path / f"aside{number}", {"pulse.txt": b"72"})
        aside.rename(tmp_path / "study/inbox" / name)
    run("drain", "--now", cwd=tmp_path, status=1)
    delivered = {
        str(path.relative_to(tmp_path / "studies")) for path in tmp_path.glob("studies/*/**/pulse.txt")
    }
    assert delivered == {f"{name.replace('-', '/raw-data/', 1)}/pulse.txt" for name in sent}
    failed = run("arrivals", "--state", "failed", "--json", cwd=tmp_path).stdout
    assert [json.loads(line)["name"] for line in failed.splitlines()] == ["heart", "heart-"]


def test_a_visit_that_is_sent_again_is_a_correction_in_its_folder(tmp_path: Path) -> None:
    run("init", tmp_path)
    for content in (b"72", b"73"):
        write_tree(tmp_path / "aside", {"pulse.txt": content}).rename(
            tmp_path / "study/inbox/heart-pc17-anna"
        )
        run("drain", "--now", cwd=tmp_path)
    folder = tmp_path / "studies/heart/raw-data/pc17-anna"
    assert [(folder / name).read_bytes() for name in ("pulse.txt", "pulse.v2.txt")] == [b"72", b"73"]


def test_init_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_text("mine")
    (tmp_path / "study/inbox").mkdir(parents=True)
    (tmp_path / "study/inbox").chmod(0o1770)
    run("init", tmp_path)
    assert (tmp_path / "manage.py").read_text() == "mine"
    assert mode(tmp_path / "study/inbox") == 0o1770


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_init_refuses_to_replace_a_configuration(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "config.yaml"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to(tmp_path / "nowhere")
    done = run("init", tmp_path, status=1)
    assert "was not replaced" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("recipe", ["results", "all"])
def test_the_results_recipe_delivers_at_once(tmp_path: Path, recipe: str) -> None:
    said = run("init", tmp_path, "--recipe", recipe).stdout
    assert ("remote_folders.csv, drop a result" in said) is (recipe == "results")
    assert mode(tmp_path / "results/inbox") == 0o3773
    assert (tmp_path / "study").exists() is (recipe == "all")
    write_tree(tmp_path / "aside", pdf(f"Specimen {SPECIMEN}")).rename(
        tmp_path / f"results/inbox/{SPECIMEN}.pdf"
    )
    run("drain", "--now", cwd=tmp_path)
    delivered = tmp_path / f"clinics/clinic12/{SPECIMEN}.pdf"
    assert mode(delivered) == 0o640
    run("verify", "--fixity", cwd=tmp_path)


def test_the_recipe_takes_clinic_and_specimen_from_the_same_number(tmp_path: Path) -> None:
    """And all of it: a result of specimen -1 is none of -12, -1-2 or -1A."""
    run("init", tmp_path, "--recipe", "results")
    names = ("066-12-{}", "066-12{}", "{}2", "{}-2", "{}A")
    for number, name in enumerate(f"{each.format(SPECIMEN)}.pdf" for each in names):
        aside = write_tree(tmp_path / f"aside{number}", pdf(f"Specimen {SPECIMEN}"))
        aside.rename(tmp_path / "results/inbox" / name)
    run("drain", "--now", cwd=tmp_path, status=1)
    assert not (tmp_path / "clinics/clinic12").exists()


def test_what_the_dicom_recipe_has_as_a_comment_can_be_switched_on(tmp_path: Path) -> None:
    run("init", tmp_path, "--recipe", "dicom")
    head, _, rest = (tmp_path / "config.yaml").read_text().partition("\ndata:")
    switched, count = re.subn(r"(?m)^( *)# ((?:- |  )*[a-z_]+:(?: |$))", r"\1\2", rest)
    assert count > 10
    from dropslot.config.load_config import parse

    assert parse(f"{head}\ndata:{switched}", tmp_path, "config.yaml").routes


@pytest.mark.parametrize("recipe", ["dicom", "all"])
def test_the_dicom_recipe_delivers_at_once(tmp_path: Path, recipe: str) -> None:
    run("init", tmp_path, "--recipe", recipe)
    assert mode(tmp_path / "dicom/inbox") == 0o3773
    write_tree(tmp_path / "aside", {**series(2), "notes.txt": b"not an image"}).rename(
        tmp_path / "dicom/inbox/visit1"
    )
    run("drain", "--now", cwd=tmp_path)
    delivered = {path.name: path for path in (tmp_path / f"images/P-17/{STUDY_UID}").glob("*.dcm")}
    assert {name: mode(path) for name, path in delivered.items()} == dict.fromkeys(series(2), 0o640)
    run("verify", "--fixity", cwd=tmp_path)


def test_without_the_extra_init_and_the_start_say_what_to_install(tmp_path: Path) -> None:
    hidden = (
        "import runpy, sys; sys.modules['pydicom'] = None; runpy.run_module('dropslot', run_name='__main__')"
    )
    python = [sys.executable, "-c", hidden]
    made = _process([*python, "init", str(tmp_path), "--recipe", "all"], 0, None, {})
    assert "pip install 'dropslot[dicom]'" in made.stdout
    refused = _process([*python, "drain", "--now"], 2, tmp_path, {})
    assert "Route dicom imports DICOM" in refused.stderr
    assert "pip install 'dropslot[dicom]'" in refused.stderr


def test_manage_py_here_is_the_one_that_init_writes() -> None:
    assert (ROOT / "manage.py").read_text() == (ROOT / "src/dropslot/cli/recipes/manage.py").read_text()


def test_every_command_of_the_server_is_one_of_manage_py_too() -> None:
    from dropslot.cli.app import names
    from dropslot.cli.groups import SENDER

    of_senders = {one.name for group in SENDER for one in import_module(group).commands.registered_commands}

    folders = sorted((ROOT / "src/dropslot").glob("*/management/commands"))
    assert names() - of_senders == {path.stem for folder in folders for path in folder.glob("[a-z]*.py")}


def test_mistakes_and_missing_files_are_wrong_usage(tmp_path: Path) -> None:
    told = run("drain", cwd=tmp_path, status=2).stderr
    assert told.index("-c PATH") < told.index("dropslot init DIR")
    (tmp_path / "config.yaml").write_text("routes: {s: {folders: ./s, takes: dirs, deliver: [{to: ./x}]}}")
    for done in (
        run("drain", cwd=tmp_path, status=2),
        run("drain", "-c", tmp_path / "config.yaml", status=2),
        run("drain", status=2, DROPSLOT_CONFIG=str(tmp_path / "config.yaml")),
    ):
        assert "line 1: routes.s.takes is 'dirs'" in done.stderr
    run("nonsense", status=2)
    run("drain", "--nonsense", status=2)


def test_manage_py_takes_another_configuration(tmp_path: Path) -> None:
    run("init", tmp_path / "one")
    bad = tmp_path / "bad.yaml"
    bad.write_text("routes: {}")
    assert "at least one route" in manage(tmp_path / "one", "drain", "-c", bad, status=2).stderr
    assert "needs the path" in manage(tmp_path / "one", "drain", "-c", status=2).stderr
    assert manage(tmp_path / "one", "shell", "--no-imports", "-c", "print(6 * 7)").stdout == "42\n"
