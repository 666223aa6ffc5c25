"""`install_service`, from `init` by root to a delivery by the account that it made."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from people import Person, Program

ACCOUNT = "dropslot-lab"


def apart(script: str, folder: Path, how: Program) -> str:
    """What a script of root's prints where /etc and /var/lib are copies, so that this machine gets no account."""
    dropslot = " ".join(map(shlex.quote, how.command))
    begin = f"""
        set -e
        dropslot() {{ {dropslot} "$@"; }}
        cp -a /etc {folder}/etc
        mount --bind {folder}/etc /etc
        mount -t tmpfs none /var/lib
        cd {folder}
        dropslot init lab
        """
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", begin + script],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **how.environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


INSTALL = f"dropslot install_service -c lab/config.yaml --account {ACCOUNT} --units ."


def test_root_gets_a_service_that_delivers_under_its_own_account(
    open_folder: Path, other_user: Person, program_for_everybody: Program
) -> None:
    printed = apart(
        f"""
        {INSTALL}
        echo AGAIN; {INSTALL}
        echo CHECKED; systemd-analyze verify ./dropslot.service; getent passwd {ACCOUNT}
        setpriv --reuid {other_user.uid} --regid {other_user.gid} --clear-groups \\
            sh -c 'umask 077; mkdir lab/study/inbox/heart-visit1; echo 1 > lab/study/inbox/heart-visit1/a'
        dropslot drain --now -c lab/config.yaml
        stat -c '%U %n' lab/studies/heart/raw-data/visit1/a lab/var/dropslot.sqlite3 lab/config.yaml
        echo '# changed' >> dropslot.service
        {INSTALL} 2>&1 || echo "status $?"
        {INSTALL} --replace
        """,
        open_folder,
        program_for_everybody,
    )
    first, _, rest = printed.partition("AGAIN\n")
    again, _, checked = rest.partition("CHECKED\n")
    assert "Done: useradd" in first and "Written: dropslot.service" in first.replace("./", "")
    assert "systemctl enable --now dropslot" in first
    assert "Done:" not in again and "Unchanged:" in again
    assert f"{ACCOUNT}:x:" in checked and "/usr/sbin/nologin" in checked
    assert "1 delivered" in checked
    assert f"{ACCOUNT} lab/studies/heart/raw-data/visit1/a" in checked
    assert f"{ACCOUNT} lab/var/dropslot.sqlite3" in checked and "root lab/config.yaml" in checked
    assert "differs from what this installation needs" in checked and "status 1" in checked
    assert checked.count("Written:") == 1


def test_the_lines_of_a_dry_run_do_the_same(
    open_folder: Path, other_user: Person, program_for_everybody: Program
) -> None:
    printed = apart(
        f"""
        {INSTALL} --dry-run > lines
        test ! -e dropslot.service
        sh lines
        {INSTALL}
        """,
        open_folder,
        program_for_everybody,
    )
    assert "Unchanged:" in printed and "Done:" not in printed


def test_a_worker_and_beat_get_units_of_their_own(open_folder: Path, program_for_everybody: Program) -> None:
    printed = apart(
        f"""
        {INSTALL} --command worker 2>&1 || echo "status $?"
        printf '%s\\n' 'workers: celery' 'broker: redis://127.0.0.1:6379/0' >> lab/config.yaml
        {INSTALL} --command worker
        {INSTALL} --command beat --name lab-beat
        grep -h -e ^ExecStart= -e ^Description= dropslot-worker.service lab-beat.service
        systemd-analyze verify ./dropslot-worker.service ./lab-beat.service
        """,
        open_folder,
        program_for_everybody,
    )
    assert "there is nothing for a service `worker` to do" in printed and "status 2" in printed
    assert "systemctl enable --now dropslot-worker" in printed
    assert f" worker -c {open_folder}/lab/config.yaml" in printed
    assert f" beat -c {open_folder}/lab/config.yaml" in printed
    assert "workers that deliver" in printed and "sends the schedules" in printed
