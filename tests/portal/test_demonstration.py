"""What `make run` starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from documents import REPOSITORY
from people import program
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("demonstration")  # two at once would choose the same port
_ACCOUNTS = ("technician", "clinic12", "operator", "auditor", "heart", "administrator")


_IMAGES = "The archive has 8 images; the patient's name, Sample^CT, is in 0 of them."


def demonstration(folder: Path, log: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(REPOSITORY / "scripts" / "demo"), str(folder)]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "NO_COLOR": "1", **program().environment}
    with log.open("w") as stream:
        return subprocess.Popen(
            command, env=environment, cwd=folder.parent, stdout=stream, stderr=stream, text=True
        )


def address_and_password(log: Path) -> tuple[str, str]:
    """What a demonstration prints once it is there."""
    found = wait_until(
        lambda: re.search(r"The portal: (\S+) +password of each account: (\S+)", log.read_text()),
        deadline_seconds=120,
        what="the link",
    )
    assert found
    return found[1], found[2]


def wait_for_images(log: Path) -> None:
    """Until the study that a demonstration sends has reached its archive."""
    wait_until(lambda: _IMAGES in log.read_text(), deadline_seconds=120, what="the images in the archive")


@pytest.mark.parametrize("listen", ["0.0.0.0:8070", "192.0.2.1:8070", "'[::]:8070'", "lab.example:8070"])
def test_it_refuses_a_portal_that_other_machines_can_reach(listen: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"data: ./var\nportal: {{listen: {listen}}}\nroutes: {{}}\n")
    demo = demonstration(folder, tmp_path / "log")
    assert demo.wait(60) == 1
    assert "Nothing was started" in (tmp_path / "log").read_text()
    assert not (folder / "password").exists()


def test_each_account_signs_in_and_a_study_is_sent_on_without_its_name(tmp_path: Path) -> None:
    log = tmp_path / "log"
    demo = demonstration(tmp_path / "demo", log)
    try:
        url, password = address_and_password(log)
        assert url.startswith("http://127.0.0.1:")
        assert [name for name in _ACCOUNTS if not signs_in(url, name, password)] == []
        wait_for_images(log)
    finally:
        demo.terminate()
        demo.wait(60)
    assert "✓✓ eprime/" in log.read_text()
    assert "nothing is lost" in log.read_text()


def signs_in(url: str, name: str, password: str) -> bool:
    session = requests.Session()
    session.trust_env = False
    form = session.get(f"{url}/account/login/", timeout=30).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token, form
    data = {"csrfmiddlewaretoken": token[1], "login": name, "password": password}
    answer = session.post(f"{url}/account/login/", data=data, timeout=30, allow_redirects=False)
    return answer.status_code == 302
