"""Senders with any umask: taken and sealed with CAP_CHOWN, else taken where the modes allow it, or waited for.

The service is an account without privilege (`daemon`), the sender another one (`nobody`), as reference/permissions.md
has them: a shared inbox of mode 3773, and one inbox for each sender.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from people import Person, Program
from product import STUDY, Product

UMASKS = (0o002, 0o022, 0o077)
SHARED = STUDY | {"folders": "./study"}
SECRET = b"not the sender's"


def as_service(service: Person, program: Program, *, chown: bool) -> Program:
    """The program as the service's account, with CAP_CHOWN alone or with nothing."""
    caps = "-all,+chown" if chown else "-all"
    start = ("setpriv", f"--reuid={service.uid}", f"--regid={service.gid}", "--clear-groups")
    limits = (f"--inh-caps={caps}", f"--ambient-caps={caps}", f"--bounding-set={caps}", "--no-new-privs")
    return replace(program, command=(*start, *limits, "--", *program.command))


class Office:
    """A product of the service's account, and the sender's hands."""

    def __init__(self, product: Product, service: Person, sender: Person) -> None:
        self.product, self.service, self.sender = product, service, sender
        self.config = {"study": SHARED, "alice": STUDY | {"folders": "./alice"}}
        product.configure(self.config)
        for path in (product.root, *product.root.rglob("*")):
            service.owns(path)
        # A folder of each sender's own: what it makes in there gets the service's group by the setgid bit.
        (product.folder("inbox", "alice")).chmod(0o3770)
        os.chown(product.folder("inbox", "alice"), service.uid, sender.gid)
        for route in self.config:
            product.folder("inbox", route).parent.chmod(0o755)

    def send(self, name: str, umask: int, route: str = "study", *, folder: bool = True) -> Path:
        """An upload by the sender's own processes, under a temporary name and then renamed."""
        inbox = self.product.folder("inbox", route)
        make = (
            "mkdir -p .up/deep && echo one >.up/a.txt && echo two >.up/deep/b.txt"
            if folder
            else "echo one >.up"
        )
        self.sender.run("sh", "-c", f'{make} && mv .up "$0"', name, umask=umask, cwd=inbox)
        return inbox / name

    def states(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.product.arrivals()}


@pytest.fixture
def make_office(
    make_product: Callable[..., Product],
    open_folder: Path,
    service_user: Person,
    other_user: Person,
    program_for_everybody: Program,
) -> Callable[..., Office]:
    def make(*, chown: bool) -> Office:
        how = as_service(service_user, program_for_everybody, chown=chown)
        return Office(make_product(root=open_folder / f"chown-{chown}", how=how), service_user, other_user)

    return make


def owners_and_modes(top: Path) -> set[tuple[int, int]]:
    return {(p.lstat().st_uid, stat.S_IMODE(p.lstat().st_mode)) for p in (top, *top.rglob("*"))}


def test_with_cap_chown_every_upload_is_taken_sealed_and_recorded_as_the_senders(
    make_office: Callable[..., Office],
) -> None:
    office = make_office(chown=True)
    product, service = office.product, office.service
    for umask in UMASKS:
        for route in ("study", "alice"):
            office.send(f"{route}-folder-{umask:03o}", umask, route)
            office.send(f"{route}-file-{umask:03o}", umask, route, folder=False)
    product.drain()
    states = office.states()
    assert len(states) == 12 and {row["state"] for row in states.values()} == {"done"}
    assert {row["sender"] for row in states.values()} == {office.sender.name}
    assert {row["sender"] for row in product.history()} == {office.sender.name}
    for route in ("study", "alice"):
        for path in product.folder("done", route).iterdir():
            assert owners_and_modes(path) <= {(service.uid, 0o700), (service.uid, 0o600)}
    assert {path.stat().st_uid for path in product.studies.rglob("*.txt")} == {service.uid}


def test_folder_that_a_killed_service_took_over_and_did_not_move_is_its_senders_still(
    make_office: Callable[..., Office],
) -> None:
    office = make_office(chown=True)
    for umask in UMASKS:
        folder = office.send(f"half-taken-{umask:03o}", umask)
        os.chown(folder, office.service.uid, -1)
        folder.chmod(0o700)
    office.product.drain()
    states = office.states()
    assert {row["state"] for row in states.values()} == {"done"}
    assert {row["sender"] for row in states.values()} == {office.sender.name}


def test_sealed_arrival_cannot_be_written_by_its_sender_any_more(make_office: Callable[..., Office]) -> None:
    office = make_office(chown=True)
    product, sender = office.product, office.sender
    product.studies.rmdir()  # so that it stays in processing
    office.send("kept", 0o000)
    product.drain(status=1)
    [taken] = product.folder("processing").glob("*/kept")
    # Even with a way in, by a descriptor that it had open on the folders above.
    for path in (taken.parent, taken.parent.parent):
        path.chmod(0o777)
    for script in ('echo x >>"$0/a.txt"', 'echo x >"$0/new"', 'mv "$0/a.txt" "$0/b"', 'chmod 777 "$0"'):
        assert sender.run("sh", "-c", script, taken, check=False).returncode != 0, script
    for path in (taken.parent, taken.parent.parent):
        path.chmod(0o700)
    product.studies.mkdir()
    office.service.owns(product.studies)
    product.run("retry", office.states()["kept"]["id"])
    product.drain()
    assert product.delivered() == {"a.txt": b"one\n", "deep/b.txt": b"two\n"}


def test_without_privilege_what_may_be_taken_is_and_the_rest_waits_with_the_remedy_named(
    make_office: Callable[..., Office],
) -> None:
    """A folder of umask 022 cannot be moved, one of 077 not even be read; the sender mends both."""
    office = make_office(chown=False)
    product = office.product
    sent = {}
    for umask in UMASKS:
        sent[f"folder-{umask:03o}"] = office.send(f"folder-{umask:03o}", umask)
        sent[f"file-{umask:03o}"] = office.send(f"file-{umask:03o}", umask, folder=False)
    modes = {name: owners_and_modes(path) for name, path in sent.items()}
    log = product.drain(status=1).stderr
    states = office.states()
    waiting = {name for name, row in states.items() if row["state"] == "waiting"}
    assert waiting == {"folder-022", "folder-077", "file-077"}
    assert {row["state"] for name, row in states.items() if name not in waiting} == {"done"}
    pending = {row["name"]: row for row in product.listing("pending")}
    for name in waiting:
        assert owners_and_modes(sent[name]) == modes[name], "it was touched"
        for told in (states[name]["reason"][0], pending[name]["reason"][0]):
            assert "CAP_CHOWN" in told and "umask 002" in told and "stays in the inbox" in told
        assert name in log
    assert product.folder("inbox").stat().st_nlink >= 4
    doctor = product.run("doctor", status=None).stdout
    assert "CAP_CHOWN" in doctor and "umask" in doctor
    ids = {name: states[name]["id"] for name in waiting}
    for name in waiting:
        office.sender.run("chmod", "-R", "g+rwX", sent[name])
    product.drain()
    after = office.states()
    assert {row["state"] for row in after.values()} == {"done"} and len(after) == 6
    assert {name: after[name]["id"] for name in waiting} == ids, "it is the arrival that waited"
    assert product.listing("pending") == []


def test_links_to_other_peoples_files_are_never_chowned(
    make_office: Callable[..., Office], open_folder: Path
) -> None:
    office = make_office(chown=True)
    product = office.product
    secret = open_folder / "secret.txt"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)
    before = secret.stat()
    inbox = product.folder("inbox")
    tree = office.send("tree", 0o022)
    office.sender.run("ln", "-s", secret, tree / "link")
    office.sender.run("ln", "-s", secret, inbox / "top-link")
    office.sender.run("ln", "-s", open_folder, inbox / "top-folder-link")
    # Made by root: a kernel with protected_hardlinks lets no sender make it, others do.
    for name in ("hard", "in-tree"):
        if name == "in-tree":
            office.sender.run("mkdir", "-m", "777", inbox / name)
        os.link(secret, inbox / name / "hard" if name == "in-tree" else inbox / name)
    (inbox / "strangers").mkdir()
    office.sender.owns(inbox / "strangers")
    (inbox / "strangers" / "roots.txt").write_bytes(SECRET)
    product.drain(status=1)
    states = office.states()
    assert {name: row["state"] for name, row in states.items()} == dict.fromkeys(
        ("tree", "top-link", "top-folder-link", "hard", "in-tree", "strangers"), "failed"
    )
    assert "not to the sender" in str(states["strangers"]["reason"])
    after = secret.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    [roots] = product.folder("failed").rglob("roots.txt")
    assert roots.stat().st_uid == 0
    assert product.delivered() == {}
    assert oct(open_folder.stat().st_mode & 0o777) == "0o755" and open_folder.stat().st_uid == 0


def test_delivered_tree_has_the_group_and_setgid_of_the_study_and_is_read_only_to_it(
    make_office: Callable[..., Office],
) -> None:
    """The folder svc:group 2750 was made once as root; group and modes come from there."""
    office = make_office(chown=True)
    product, service, sender = office.product, office.service, office.sender
    os.chown(product.studies, service.uid, sender.gid)
    product.studies.chmod(0o2750)
    office.send("s", 0o077)
    # As the unit has it: UMask=0027.
    how = product.how
    product.how = replace(how, command=("sh", "-c", 'umask 027 && exec "$0" "$@"', *how.command))
    product.drain()
    for path in (product.studies / "a.txt", product.studies / "deep/b.txt"):
        seen = path.stat()
        assert (seen.st_uid, seen.st_gid, oct(seen.st_mode & 0o7777)) == (service.uid, sender.gid, "0o640")
    deep = (product.studies / "deep").stat()
    assert (deep.st_gid, oct(deep.st_mode & 0o7777)) == (sender.gid, "0o2750")
    assert sender.run("cat", product.studies / "deep/b.txt").stdout == "two\n"
    assert sender.run("sh", "-c", 'echo x >>"$0"', product.studies / "a.txt", check=False).returncode != 0


def test_group_that_the_service_is_no_member_of_is_waited_for_and_named(
    make_office: Callable[..., Office],
) -> None:
    office = make_office(chown=False)
    product = office.product
    rule = {"to": "./studies", "group": "nogroup", "file_mode": 640, "folder_mode": 2750}
    product.configure({"study": SHARED | {"deliver": [rule]}})
    for path in (product.root / "study").rglob("*"):
        office.service.owns(path)
    office.send("s", 0o002)
    told = product.drain(status=1).stdout
    assert "not a member of nogroup" in told and "usermod -aG nogroup" in told
    assert product.delivered() == {}
