"""The service that sends without a person, as each system wants it."""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dropslot.sender.home_folder import VARIABLE
from dropslot.sender.unattended.install_login_service import install, uninstall
from dropslot.sender.unattended.login_service import LABEL, NAME, Service, program, service
from waiting import wait_until

AWKWARD = 'a "b" 100% $HOME \\ c'
_TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def test_systemd_starts_and_stops_it_with_the_words_that_were_given(
    user_manager: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    script = f'printf "%s|%s" "$1" "$2" > {said}; exec sleep 1000'
    made = service(["/bin/sh", "-c", script, "sh", AWKWARD, "--home=/home/a b/100%"], "linux")
    assert made.file.is_relative_to(user_manager)
    lines = list(install(made))
    assert lines[0] == f"Written: {made.file}"
    wait_until(
        lambda: said.exists() and said.read_text() == f"{AWKWARD}|--home=/home/a b/100%", what="its words"
    )
    assert _systemctl("is-enabled") == "enabled"
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--user", made.file], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    list(uninstall(made))
    assert (_systemctl("is-active"), made.file.exists()) == ("inactive", False)
    assert list(uninstall(made)) == [f"There is no service here: {made.file} does not exist."]


def _systemctl(question: str) -> str:
    return subprocess.run(
        ["systemctl", "--user", question, NAME], capture_output=True, text=True
    ).stdout.strip()


def test_without_a_manager_it_is_written_and_the_next_step_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    made = service(["/bin/true"], "linux")
    with pytest.raises(
        Exception, match=r"systemctl --user daemon-reload` failed: .* is written\. Run that command"
    ):
        list(install(made))
    assert made.file.exists()


def test_the_agent_of_launchd_is_a_property_list() -> None:
    made = service(["/Applications/drop slot", "send", "--watch", AWKWARD], "darwin")
    assert (made.file.parent.name, made.file.name) == ("LaunchAgents", f"{LABEL}.plist")
    values = plistlib.loads(made.content)
    assert values["ProgramArguments"] == ["/Applications/drop slot", "send", "--watch", AWKWARD]
    assert (values["RunAtLoad"], values["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert made.start[0][:2] == ["launchctl", "bootstrap"]
    assert made.before == [["launchctl", "bootout", made.stop[0][2]]]  # else a second bootstrap is refused


def test_the_task_of_windows_is_well_formed_and_has_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    account = {"USERDOMAIN": "LAB", "USERNAME": "ann & bob"}
    made = service([r"C:\Program Files\dropslot.exe", "send", "--watch", "a <b>"], "win32", account)
    assert made.content.startswith(b"\xff\xfe")
    task = ElementTree.fromstring(made.content.decode("utf-16"))
    found = {each.tag.removeprefix(_TASK): each.text for each in task.iter()}
    assert found["Command"] == r"C:\Program Files\dropslot.exe"
    assert found["Arguments"] == 'send --watch "a <b>"'
    assert (found["UserId"], found["LogonType"]) == (r"LAB\ann & bob", "InteractiveToken")
    assert (found["ExecutionTimeLimit"], found["Interval"]) == ("PT0S", "PT20M")
    assert made.start[0][:5] == ["schtasks", "/Create", "/F", "/TN", NAME]
    assert made.before == [["schtasks", "/End", "/TN", NAME]]  # it would go on with the earlier words


def test_what_ends_an_earlier_service_may_find_none(tmp_path: Path) -> None:
    made = Service(tmp_path / "a.service", b"", [["true"]], [], before=[["false"]])
    assert list(install(made))[1] == "Done: true"


def test_it_starts_this_program() -> None:
    assert subprocess.run([*program(), "--version"], capture_output=True, text=True).stdout.startswith(
        "dropslot "
    )
