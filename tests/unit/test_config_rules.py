"""Rules between keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configurations import BASE, config, problems, problems_of_route, route, the_problem
from dropslot import checks
from dropslot.config import Route, from_mapping
from dropslot.config.models import CHECK_NAMES

NAME = r"(?P<study>\w+)-(?P<sent>.+)"


def test_relative_paths_are_beneath_the_folder_of_the_file() -> None:
    made = config(deliver=[{"to": "out/{study}", "must_exist": "./out/../out/{study}"}], name=NAME)
    study = made.routes["study"]
    assert (made.data, made.logs, made.pid) == (BASE / "var", BASE / "var/logs", BASE / "var/watcher.pid")
    assert (study.folders, study.inbox, study.failed) == (
        "/srv/lab/study",
        "/srv/lab/study/inbox",
        "/srv/lab/study/failed",
    )
    assert study.deliver[0].to == study.deliver[0].must_exist == "/srv/lab/out/{study}"


def test_braces_of_the_folder_itself_are_no_fields() -> None:
    made = config(base=Path("/srv/{lab}"))
    assert made.routes["study"].inbox == "/srv/{{lab}}/study/inbox"
    assert made.data == Path("/srv/{lab}/var")


def test_the_home_folder_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/svc")
    made = from_mapping({"data": "~/var", "routes": {"study": route(folders="~/drop/{study}")}}, BASE)
    assert made.data == Path("/home/svc/var")
    assert made.routes["study"].inbox == "/home/svc/drop/{study}/inbox"


@pytest.mark.parametrize("key", ["to", "must_exist", "group"])
def test_a_field_that_nothing_gives_is_refused(key: str) -> None:
    deliver = {"to": "./out", key: "./out/{stdy}" if key != "group" else "{stdy}-readers"}
    problem = the_problem(problems_of_route(name=NAME, deliver=[deliver]))
    assert problem.key == f"routes.study.deliver[0].{key}"
    assert "sent, study" in problem.expected


def test_fields_come_from_the_folders_and_from_the_name() -> None:
    made = config(
        folders="./drop/{lab}", name=NAME, deliver=[{"to": "./out/{lab}/{study}", "group": "{lab}-{sent}"}]
    )
    assert made.routes["study"].inbox == "/srv/lab/drop/{lab}/inbox"


def test_a_field_that_comes_from_both_is_refused() -> None:
    problem = the_problem(problems_of_route(folders="./drop/{study}", name=NAME))
    assert problem.key == "routes.study.name"


def test_marker_and_complete_go_together() -> None:
    assert the_problem(problems_of_route(complete="marker")).key == "routes.study.marker"
    assert the_problem(problems_of_route(marker="READY")).key == "routes.study.marker"
    assert the_problem(problems_of_route(complete="marker", marker="a/b")).key == "routes.study.marker"
    assert (
        the_problem(problems_of_route(complete="marker", marker="R", takes="files")).key
        == "routes.study.takes"
    )
    assert config(complete="marker", marker="READY").routes["study"].marker == "READY"


@pytest.mark.parametrize("folder", ["processing", "done", "failed"])
@pytest.mark.parametrize("place", ["./study/inbox", "./study/inbox/x", "./study", "./study/x/../inbox/"])
def test_the_four_folders_are_apart(folder: str, place: str) -> None:
    found = problems_of_route(**{folder: place})
    assert {problem.key for problem in found} <= {
        f"routes.study.{name}" for name in ("folders", "processing", "done", "failed")
    }


def test_each_set_of_folders_stands_by_itself() -> None:
    problem = the_problem(problems_of_route(folders="./drop/{study}", processing="./processing"))
    assert problem.key == "routes.study.processing"
    assert the_problem(problems_of_route(folders="./drop/{a}{b}")).key == "routes.study.folders"


def test_folders_are_needed_unless_all_four_are_set() -> None:
    four = {name: f"./x/{name}" for name in ("inbox", "processing", "done", "failed")}
    made = from_mapping({"routes": {"s": {**four, "deliver": [{"to": "./out"}]}}}, BASE)
    assert made.routes["s"].inbox == "/srv/lab/x/inbox"
    del four["done"]
    assert (
        the_problem(problems({"routes": {"s": {**four, "deliver": [{"to": "./out"}]}}})).key
        == "routes.s.folders"
    )


@pytest.mark.parametrize(
    ("to", "more"),
    [
        ("./study/inbox", {}),
        ("./study/inbox/x", {}),
        ("./study/processing/{study}", {"name": NAME}),
        ("./study/{study}", {"name": NAME}),
        ("./{study}/{sent}/x", {"name": NAME}),
        ("./study", {}),
        (".", {}),
        ("./drop/{lab}/inbox/x", {"folders": "./drop/{lab}"}),
    ],
)
def test_a_destination_that_may_be_in_the_route_itself_is_refused(to: str, more: dict[str, Any]) -> None:
    found = problems_of_route(deliver=[{"to": to}], **more)
    assert {problem.key for problem in found} == {"routes.study.deliver[0].to"}


@pytest.mark.parametrize(
    ("to", "more"),
    [
        ("./study-x/inbox", {}),
        ("./out/{study}", {"name": NAME}),
        ("./study/out", {}),
        ("./drop/{lab}/raw", {"folders": "./drop/{lab}"}),
    ],
)
def test_a_destination_beside_the_route_is_fine(to: str, more: dict[str, Any]) -> None:
    assert config(deliver=[{"to": to}], **more).routes["study"].deliver


def test_destinations_climb_nowhere_and_are_folders_here_or_at_a_server() -> None:
    servers = (
        "ftp://host/x",
        "sftp://host",
        "sftp://me:secret@host/x",
        "sftp://{h}/x",
        "sftp://h/../x",
        "sftp://h/~you/x",
    )
    for to in ("./{study}/../x", *servers, "", " ", "a\0b"):
        assert problems_of_route(name=NAME, deliver=[{"to": to}])[0].key == "routes.study.deliver[0].to"


def test_each_destination_comes_once() -> None:
    assert (
        the_problem(problems_of_route(deliver=[{"to": "./a"}, {"to": "./x/../a"}])).key
        == "routes.study.deliver[1].to"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"folders": "./study"},
        {"folders": "./other", "inbox": "./study/inbox"},
        {"folders": "./other", "inbox": "./study/inbox/sub"},
        {"folders": "./other", "inbox": "./study/processing"},
        {"folders": "./{x}"},
        {"folders": "./other", "done": "./study/inbox"},
    ],
)
def test_routes_share_no_folders(other: dict[str, Any]) -> None:
    found = problems({"routes": {"study": route(), "other": {**route(), **other}}})
    assert all(problem.key.startswith("routes.other") for problem in found)
    assert "route study" in found[0].expected


def test_routes_may_share_an_archive() -> None:
    shared = {"done": "./archive", "failed": "./refused"}
    made = from_mapping({"routes": {"a": route(**shared), "b": route(**{"folders": "./b", **shared})}}, BASE)
    assert made.routes["a"].done == made.routes["b"].done


def test_the_data_folder_is_outside_of_all_routes() -> None:
    assert the_problem(problems({"data": "./study/inbox/var", "routes": {"study": route()}})).key == "data"


def test_dotted_paths_are_looked_up(tmp_path: Path) -> None:
    # A name of its own: what other tests in this process have put into their folders stays importable.
    (tmp_path / "plugins/lab_looked_up").mkdir(parents=True)
    (tmp_path / "plugins/lab_looked_up/__init__.py").write_text("")
    (tmp_path / "plugins/lab_looked_up/tasks.py").write_text(
        "raise SystemExit('imported')\ndef convert(arrival): ...\n"
    )
    keys = {
        "after": "lab_looked_up.tasks.convert",
        "processors": ["plugins.lab_looked_up.tasks.convert"],
        "checks": ["lab_looked_up.tasks.convert"],
    }
    assert config(base=tmp_path, **keys).routes["study"].after == "lab_looked_up.tasks.convert"
    wrong = {
        "after": "lab_looked_up.task.convert",
        "processors": ["lab_looked_up.nothing.X"],
        "checks": [{"json.no.thing": 1}, {"pdf": 1}],
    }
    found = {problem.key for problem in problems({"routes": {"study": route(**wrong)}}, tmp_path)}
    prefix = "routes.study."
    assert found == {prefix + key for key in ("after", "processors[0]", "checks[0]", "checks[1]")}


def test_the_short_names_of_checks_are_those_that_ship() -> None:
    assert set(checks.SHORT_NAMES) == CHECK_NAMES
    assert config(checks=["bag", {"max_items": 5}]).routes["study"].checks == [
        {"bag": None},
        {"max_items": 5},
    ]


def test_a_faulty_key_hides_no_other_mistake_and_makes_none_up() -> None:
    found = {
        problem.key
        for problem in problems_of_route(name="(", settle="soon", marker="READY", deliver=[{"to": "./{x}"}])
    }
    assert found == {"routes.study.name", "routes.study.settle", "routes.study.marker"}


def test_routes_made_in_python_are_judged_alike() -> None:
    route: Any = Route  # as people call it: the types of its arguments are those of config.yaml
    made = route(key="study", folders="./study", deliver=[{"to": "./out"}], settle=2)
    assert from_mapping({"routes": {"study": made}}, BASE).routes["study"].inbox == "/srv/lab/study/inbox"
    bad = route(key="study", folders="./study", deliver=[{"to": "./out/{x}"}])
    assert the_problem(problems({"routes": {"study": bad}})).key == "routes.study.deliver[0].to"


LOOKUP = {"field": "folder", "table": "folders.csv", "label": "BHS", "hint": r"(?P<hint>\d\d)"}


def test_a_looked_up_field_is_known_and_its_table_beneath_the_folder_of_the_file() -> None:
    made = config(lookup=LOOKUP, deliver=[{"to": "./out/{folder}/{date:%Y}/{weekday}/{mime}"}]).routes[
        "study"
    ]
    assert [lookup.table for lookup in made.lookup] == ["/srv/lab/folders.csv"]
    assert config(lookup=[LOOKUP, LOOKUP | {"label": "HTC"}]).routes["study"].lookup[1].label == "HTC"


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"name": "(?P<date>.*)"}, "name"),
        ({"folders": "./drop/{mime}"}, "folders"),
        ({"lookup": LOOKUP | {"field": "weekday"}}, "lookup[0].field"),
        ({"lookup": LOOKUP | {"field": "study"}, "name": NAME}, "lookup[0].field"),
        ({"lookup": LOOKUP | {"field": "a-b"}}, "lookup[0].field"),
        ({"lookup": LOOKUP | {"hint": "("}}, "lookup[0].hint"),
        ({"lookup": LOOKUP | {"label": ""}}, "lookup[0].label"),
        ({"lookup": LOOKUP | {"more": 1}}, "lookup[0].more"),
        ({"lookup": "folders.csv"}, "lookup"),
        ({"folders": "./drop/{date:%Y}"}, "folders"),
        ({"fields": ["Ward"]}, "fields[0]"),
        ({"fields": ["no.such.Ward"]}, "fields[0]"),
    ],
)
def test_mistakes_in_lookups_and_fields_are_told(keys: dict[str, Any], key: str) -> None:
    assert {problem.key for problem in problems_of_route(**keys)} == {f"routes.study.{key}"}


def test_fields_of_ones_own_may_give_what_nothing_else_gives() -> None:
    assert config(fields=["dropslot.fields.name.NamePattern"], deliver=[{"to": "./out/{ward}"}])


@pytest.mark.parametrize(
    "folder",
    ["/srv/receipts", "/srv/{study}/{sender}", "./study/inbox/{sender}"],
    ids=["one", "more", "inbox"],
)
def test_receipts_are_in_a_folder_for_each_sender_outside_of_the_routes_own(folder: str) -> None:
    assert {found.key for found in problems_of_route(receipts=folder, name=NAME)} == {"routes.study.receipts"}
    made = config(receipts="./study/receipts/{sender}")
    assert made.routes["study"].receipts == "/srv/lab/study/receipts/{sender}"
