"""`send --watch` as a service of one account: a systemd user unit, a launchd agent or a scheduled task of Windows.

Each begins when the person signs in, and starts the sender again when it ends with an error.
"""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape as escape_xml

from dropslot.core.unit_files import command_line
from dropslot.sender.home_folder import home

NAME = "dropslot-send"
LABEL = "org.dropslot.send"
DESCRIPTION = "dropslot: sends finished recordings"
# A server that refuses a password is asked again seldom enough for it not to lock the account: that takes three
# refusals in a quarter of an hour (pam_faillock).
AGAIN_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Service:
    """One file, and the commands that make the system start and stop what it describes. `after`: what a person may
    want to know or do. `before`: commands that end an earlier one; it does no harm if there is none."""

    file: Path
    content: bytes
    start: Sequence[Sequence[str]]
    stop: Sequence[Sequence[str]]
    after: str = ""
    before: Sequence[Sequence[str]] = ()


def program() -> list[str]:
    """How this dropslot is started: one file made by `make package`, the command beside its Python, or that Python."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    command = Path(sys.executable).with_name("dropslot.exe" if sys.platform == "win32" else "dropslot")
    return [str(command)] if os.access(command, os.X_OK) else [sys.executable, "-m", "dropslot"]


def service(
    command: Sequence[str], system: str = sys.platform, environment: Mapping[str, str] = os.environ
) -> Service:
    """The service that runs `command`, for a system as `sys.platform` names it."""
    makers = {"win32": _task, "darwin": _agent}
    return makers.get(system, _unit)(list(command), environment)


def _unit(command: list[str], environment: Mapping[str, str]) -> Service:
    folder = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    lines = [
        "[Unit]",
        f"Description={DESCRIPTION}",
        "[Service]",
        f"ExecStart={command_line(command)}",
        "Restart=on-failure",
        f"RestartSec={AGAIN_SECONDS}",
        "Nice=10",
        "[Install]",
        "WantedBy=default.target",
    ]
    systemctl = ["systemctl", "--user"]
    return Service(
        folder / f"{NAME}.service",
        "".join(f"{line}\n" for line in lines).encode(),
        [[*systemctl, "daemon-reload"], [*systemctl, "enable", NAME], [*systemctl, "restart", NAME]],
        [[*systemctl, "disable", "--now", NAME]],
        f"It runs while you are signed in. To let it always run: loginctl enable-linger. Its log: journalctl --user -u"
        f" {NAME}",
    )


def _agent(command: list[str], _environment: Mapping[str, str]) -> Service:
    log = Path.home() / "Library" / "Logs" / f"{NAME}.log"
    values = {
        "Label": LABEL,
        "ProgramArguments": command,
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": AGAIN_SECONDS,
        "ProcessType": "Background",
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
    }
    file = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    domain = _domain()
    return Service(
        file,
        plistlib.dumps(values),
        [["launchctl", "bootstrap", domain, str(file)]],
        [["launchctl", "bootout", f"{domain}/{LABEL}"]],
        f"It runs while you are signed in. Its log: {log}",
        before=[["launchctl", "bootout", f"{domain}/{LABEL}"]],
    )


def _domain() -> str:
    if sys.platform == "win32":
        return ""
    return f"gui/{os.getuid()}"


_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>{description}</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled><UserId>{user}</UserId></LogonTrigger></Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <RestartOnFailure><Interval>PT{again}M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec><Command>{command}</Command><Arguments>{arguments}</Arguments></Exec>
  </Actions>
</Task>
"""


def _task(command: list[str], environment: Mapping[str, str]) -> Service:
    user = "\\".join(environment[key] for key in ("USERDOMAIN", "USERNAME") if environment.get(key))
    values = {
        "description": DESCRIPTION,
        "user": user,
        "command": command[0],
        "arguments": subprocess.list2cmdline(command[1:]),
    }
    text = _TASK.format(
        again=AGAIN_SECONDS // 60, **{key: escape_xml(value) for key, value in values.items()}
    )
    file = home() / f"{NAME}.xml"
    return Service(
        file,
        text.replace("\n", "\r\n").encode("utf-16"),
        [["schtasks", "/Create", "/F", "/TN", NAME, "/XML", str(file)], ["schtasks", "/Run", "/TN", NAME]],
        [["schtasks", "/End", "/TN", NAME], ["schtasks", "/Delete", "/F", "/TN", NAME]],
        "It runs while you are signed in. The Task Scheduler of Windows shows it",
        before=[["schtasks", "/End", "/TN", NAME]],
    )
