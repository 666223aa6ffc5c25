"""The portal inside somebody else's Django project: under a prefix, with its users, its sign-in and its frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("mounted")  # what they share is made once

PROJECT = Path(__file__).parent / "mounted"
SOURCE = Path(__file__).parents[2] / "src"


class Clinic:
    """The project, its files in a folder of the test's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "clinics").mkdir()

        self._shell: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_", "PYTHON"))}
        return kept | {"CLINIC_ROOT": str(self.root), "PYTHONPATH": str(SOURCE)}

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-B", str(PROJECT / "manage.py"), *args]

    def manage(self, *args: str) -> str:
        done = subprocess.run(
            self.command(*args), env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> Any:
        """What the code puts into `found`; one shell of the project runs all of them."""
        if self._shell is None:
            command = self.command("shell", "--no-imports", "-c", _SHELL)
            pipe = subprocess.PIPE
            self._shell = subprocess.Popen(
                command, env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
            )
        assert self._shell.stdin and self._shell.stdout and self._shell.stderr
        self._shell.stdin.write(json.dumps(_BEGIN + code) + "\n")
        self._shell.stdin.flush()
        told = self._shell.stdout.readline()
        assert told, self._shell.stderr.read()
        return json.loads(told)

    def close(self) -> None:
        if self._shell:
            self._shell.communicate(timeout=60)


_SHELL = """
import json, sys
for line in sys.stdin:
    names = {}
    exec(json.loads(line), names)
    print(json.dumps(names["found"]), flush=True)
"""
_BEGIN = """
from django.contrib.auth import get_user_model
from django.test import Client
from dropslot.access.models import Grant
def page(client, path, **more):
    answer = client.get(path, **more)
    return [answer.status_code, answer.get("Location", ""), b"".join(answer).decode(errors="replace")]
def signed_in(badge, role="", **bounds):
    person, _ = get_user_model()._default_manager.get_or_create(badge=badge)
    person.set_unusable_password(); person.save()
    if role:
        Grant.objects.get_or_create(user=person, role=role, **bounds)
    client = Client()
    client.force_login(person)
    return client
"""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    clinic = Clinic(tmp_path_factory.mktemp("clinic"))
    clinic.manage("migrate", "-v0")
    inbox = clinic.root / "results" / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "north-1.txt").write_text("result")
    clinic.manage("drain", "--now")
    yield clinic
    clinic.close()


def test_nothing_is_left_to_migrate_or_wrong(clinic: Clinic) -> None:
    clinic.manage("makemigrations", "--check", "--dry-run")
    clinic.manage("check", "--fail-level", "WARNING")


def test_pages_are_under_the_prefix_in_the_projects_frame(clinic: Clinic) -> None:
    status, _, text = clinic.python("found = page(signed_in('7', 'administrator'), '/drop/')")
    assert status == 200
    assert "The clinic's own frame" in text
    assert 'href="/drop/deliveries/"' in text
    assert 'href="/deliveries/"' not in text
    assert '"/assets/dropslot/portal.css"' in text


def test_each_page_in_the_navigation_opens(clinic: Clinic) -> None:
    found = clinic.python(
        "from django.urls import reverse\nfrom dropslot.portal.context import PAGES\n"
        "found = {name: page(signed_in('7', 'administrator'), reverse(f'dropslot:{name}'))[0] for _, name, _ in PAGES}"
    )
    assert set(found.values()) == {200}, found


def test_who_is_not_signed_in_is_led_to_the_projects_sign_in(clinic: Clinic) -> None:
    assert clinic.python("found = page(Client(), '/drop/')")[:2] == [302, "/welcome/?next=/drop/"]
    assert "Welcome to the clinic" in clinic.python("found = page(Client(), '/welcome/')")[2]
    assert clinic.python("found = page(Client(), '/')")[2] == "the clinic's own page"


def test_static_files_are_the_projects_to_serve(clinic: Clinic) -> None:
    found = clinic.python(
        "from django.contrib.staticfiles import finders\n"
        "found = [bool(finders.find(name)) for name in ('dropslot/portal.js', 'css/bootstrap.min.css')]"
    )
    assert found == [True, True]


def test_roles_are_of_the_projects_accounts(clinic: Clinic) -> None:
    found = clinic.python(
        "from dropslot.arrivals.models import Delivery\n"
        "path = f'/drop/deliveries/{Delivery.objects.get().pk}/file'\n"
        "found = [page(signed_in('8'), path)[0], page(signed_in('9', 'recipient', folder='north'), path)[::2],"
        " page(signed_in('10', 'recipient', folder='south'), path)[0]]"
    )
    assert found == [404, [200, "result"], 404]


def test_the_api_is_under_the_prefix(clinic: Clinic) -> None:
    status, _, text = clinic.python("found = page(signed_in('7', 'administrator'), '/drop/api/v1/arrivals')")
    assert status == 200
    assert [row["name"] for row in json.loads(text)["items"]] == ["north-1.txt"]
    assert clinic.python("found = page(Client(), '/drop/api/v1/arrivals')")[0] == 401


def test_the_commands_for_accounts_know_the_projects_users(clinic: Clinic) -> None:
    assert "is new" in clinic.manage("adduser", "77", "--role", "operator")
    assert clinic.python("found = [str(one) for one in Grant.objects.filter(user__badge='77')]") == [
        "operator, all routes"
    ]
