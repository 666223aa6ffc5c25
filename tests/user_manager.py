"""systemd's manager of one account's services, as a sign-in starts it, in folders of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from waiting import wait_until

# It refuses to start where systemd does not run the machine; in its own view of /run, it does.
_BEGIN = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user"


@pytest.fixture
def user_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of unit files; `systemctl --user` of this process and of its children asks this manager."""
    if os.geteuid() != 0:
        pytest.skip("only root can give systemd a /run of its own")
    running = Path(tempfile.mkdtemp(prefix="dropslot-run-", dir="/tmp"))  # the path of a socket is short
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(running))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with (tmp_path / "manager.log").open("wb") as log:
        command = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", "sh", "-c", _BEGIN]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: (running / "systemd" / "private").is_socket(), what="systemd's user manager")
        yield tmp_path / "config" / "systemd" / "user"
    finally:
        subprocess.run(["systemctl", "--user", "exit"], check=False, capture_output=True)
        process.wait(60)
        shutil.rmtree(running, ignore_errors=True)
