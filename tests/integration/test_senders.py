"""Real transfer programs that send into an inbox: they end well, and what they send arrives once and whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from product import STUDY, Product, read_tree, write_tree
from samba import Samba
from sshd import Sshd
from waiting import wait_until

FILES = {"IM1": b"1" * 100_000, "sub/IM2": b"2" * 100_000}


def at_work(product: Product, **route: Any) -> Product:
    """The service, with the grace that routes have by default."""
    product.configure({"study": STUDY | {"grace": "1s", "settle": "2s"} | route})
    product.start("run")
    wait_until(lambda: "watch" in (product.root / "run.log").read_text(), what="the watch")
    return product


def arrives_once(product: Product, name: str, content: dict[str, bytes]) -> None:
    product.wait_for_state(name, "done")
    assert product.delivered() == content
    assert [(row["name"], row["state"]) for row in product.arrivals()] == [(name, "done")]
    assert list(product.folder("inbox").iterdir()) == []


def send(*command: str | Path, text: str | None = None) -> None:
    done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def rclone_of(where: str) -> str:
    """Debian's 1.60, which sends under the final name, or the newest from PyPI, which renames and looks again."""
    path = Path(sys.executable).with_name("rclone") if where == "PyPI" else Path("/usr/bin/rclone")
    if not path.exists():
        pytest.skip(f"{path} is not there; `make test` installs it")
    return str(path)


@pytest.mark.parametrize("where", ["PyPI", "Debian"])
def test_rclone_ends_well_and_sends_once(sqlite_product: Product, shared_sshd: Sshd, where: str) -> None:
    product = at_work(sqlite_product)
    file = product.root / "scan.nii.gz"
    file.write_bytes(b"1" * 300_000)
    remote = f":sftp,host=127.0.0.1,port={shared_sshd.port},user=root,key_file={shared_sshd.key}"
    inbox = f"{remote}:{product.folder('inbox')}"
    send(rclone_of(where), "copy", file, inbox, "--retries", "1", "--config", product.root / "none")
    arrives_once(product, "scan.nii.gz", {"scan.nii.gz": file.read_bytes()})


@pytest.mark.parametrize("where", ["PyPI", "Debian"])
def test_rclone_sends_a_folder(sqlite_product: Product, shared_sshd: Sshd, where: str) -> None:
    product = at_work(sqlite_product)
    source = write_tree(product.root / "source", FILES)
    remote = f":sftp,host=127.0.0.1,port={shared_sshd.port},user=root,key_file={shared_sshd.key}"
    target = f"{remote}:{product.folder('inbox')}/heart-1"
    send(rclone_of(where), "copy", source, target, "--retries", "1", "--config", product.root / "none")
    arrives_once(product, "heart-1", FILES)


def test_sftp_renames_and_then_sets_mode_and_looks(sqlite_product: Product, shared_sshd: Sshd) -> None:
    product = at_work(sqlite_product)
    source = write_tree(product.root / "source", FILES)
    inbox = product.folder("inbox")
    batch = [
        f"put -rp {source} {inbox}/.heart-1.part",
        f"rename {inbox}/.heart-1.part {inbox}/heart-1",
        f"chmod 770 {inbox}/heart-1",
        f"ls -l {inbox}/heart-1/sub",
    ]
    options = ["-oBatchMode=yes", f"-oUserKnownHostsFile={shared_sshd.known_hosts}"]
    port = ["-P", str(shared_sshd.port), "-i", str(shared_sshd.key)]
    send("sftp", "-b", "-", *port, *options, "root@127.0.0.1", text="\n".join(batch) + "\n")
    arrives_once(product, "heart-1", FILES)


def test_lftp_puts_under_a_temporary_name_and_mirrors(sqlite_product: Product, shared_sshd: Sshd) -> None:
    product = at_work(sqlite_product)
    if shutil.which("lftp") is None:
        pytest.skip("lftp is not installed; `setup/packages test` installs it as root.")
    source = write_tree(product.root / "source", FILES)
    ssh = f"ssh -a -x -i {shared_sshd.key} -o UserKnownHostsFile={shared_sshd.known_hosts}"
    script = [
        f'set sftp:connect-program "{ssh}"',
        "set xfer:use-temp-file yes",
        "set net:max-retries 1",
        "set cmd:fail-exit yes",
        f"open -u root, sftp://127.0.0.1:{shared_sshd.port}",
        f"cd {product.folder('inbox')}",
        f"mirror -R {source} heart-1",
    ]
    send("lftp", "-c", "; ".join(script))
    arrives_once(product, "heart-1", FILES)


@pytest.mark.parametrize("poll", [False, True], ids=["inotify", "polling"])
def test_new_folder_over_a_share_is_renamed_and_then_filled(
    sqlite_product: Product, make_samba: Callable[[Path], Samba], poll: bool
) -> None:
    product = at_work(sqlite_product, poll=poll)
    source = write_tree(product.root / "source", {"IM1": b"1" * 100_000, "IM2": b"2" * 100_000})
    share = make_samba(product.folder("inbox"))
    share.run('mkdir "New folder"')
    wait_until(lambda: "New folder" in (product.root / "run.log").read_text(), what="the notice")
    share.run('rename "New folder" heart-1')
    wait_until(lambda: "inbox/heart-1" in (product.root / "run.log").read_text(), what="the notice")
    # More than a moment later: a person looks for the files that they want to put in.
    wait_until(lambda: "heart-1 waits: it contains no file" in (product.root / "run.log").read_text())
    share.run(f"lcd {source}", "cd heart-1", "put IM1", "put IM2", "allinfo IM2")
    arrives_once(product, "heart-1", read_tree(source))
