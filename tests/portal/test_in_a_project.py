"""The portal in somebody's own Django project, made as the page says: under a prefix, with its own user model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from documents import REPOSITORY, blocks
from portals import routes

pytestmark = pytest.mark.xdist_group("in-a-project")  # what they share is made once

SOURCE = REPOSITORY / "src"
_MODELS = "from django.contrib.auth.models import AbstractUser\n\n\nclass Person(AbstractUser):\n    pass\n"
_LOOK = """
import json
from django.contrib.auth import get_user_model
from django.test import Client
client = Client(HTTP_HOST="localhost")
stranger = client.get("/drop/")
client.force_login(get_user_model().objects.get(username="olga"), "django.contrib.auth.backends.ModelBackend")
home = client.get("/drop/")
print(json.dumps([stranger.status_code, stranger.headers.get("Location"), home.status_code,
    home.content.decode(), home.headers.get("Content-Security-Policy")]))
"""
_ADD = """
from dropslot.access import accounts
from dropslot.config import current
accounts.add(current(), accounts.Wanted("olga", ("operator",)), "correct horse battery")
"""


class Lab:
    """A new project with the texts of the page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run("-m", "django", "startproject", "lab", ".")
        page = {block.mark: block.text for block in blocks(REPOSITORY / "docs" / "portal.md")}
        settings = (root / "lab" / "settings.py").read_text() + page["file: settings.py"]
        settings += 'INSTALLED_APPS.append("people")\nAUTH_USER_MODEL = "people.Person"\n'
        (root / "lab" / "settings.py").write_text(settings + 'ALLOWED_HOSTS = ["localhost"]\n')
        (root / "lab" / "urls.py").write_text(page["file: urls.py"])
        (root / "people").mkdir()
        (root / "people" / "__init__.py").touch()
        (root / "people" / "models.py").write_text(_MODELS)
        content = {"data": "./var", "portal": {}, "routes": routes(root)}
        (root / "config.yaml").write_text(yaml.safe_dump(content))
        self.run("manage.py", "makemigrations", "people")
        self.run("manage.py", "migrate")

    def run(self, *command: str) -> str:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "DROPSLOT_", "PYTHON"))
        }
        environment = inherited | {"PYTHONPATH": str(SOURCE)}
        done = subprocess.run(
            [sys.executable, *command], cwd=self.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        return self.run("manage.py", "shell", "--no-imports", "-c", code)

    def look(self) -> list[Any]:
        return list(json.loads(self.python(_LOOK).splitlines()[-1]))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = Lab(tmp_path_factory.mktemp("lab"))
    made.python(_ADD)
    return made


def test_its_pages_are_below_the_prefix_and_need_a_sign_in(lab: Lab) -> None:
    status, leads_to, home, text, policy = lab.look()
    assert (status, leads_to) == (302, "/account/login/?next=/drop/")
    assert home == 200
    assert 'href="/drop/' in text
    assert "olga" in text
    assert "default-src 'self'" in policy


def test_a_template_of_the_project_replaces_that_of_the_portal(lab: Lab) -> None:
    folder = lab.root / "templates" / "dropslot"
    folder.mkdir(parents=True)
    (folder / "base.html").write_text("<p>Our laboratory</p>{% block content %}{% endblock %}")
    try:
        assert "Our laboratory" in lab.look()[3]
    finally:
        (folder / "base.html").unlink()


def test_the_page_names_all_that_the_portal_by_itself_has(lab: Lab) -> None:
    import dropslot.portal_settings as own

    code = "from django.conf import settings; print(settings.MIDDLEWARE + settings.INSTALLED_APPS)"
    there = lab.python(code)
    needed = [name for name in (*own.MIDDLEWARE, *own.PORTAL_APPS) if not name.startswith("django.")]
    # Static files are the project's own affair, and so are its providers of OpenID Connect.
    kept = [name for name in needed if "whitenoise" not in name and "openid_connect" not in name]
    assert [name for name in kept if f"'{name}'" not in there] == []
