"""The SFTP destination against Debian's sshd: the contract, and what only a real server can show."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.destination_contract import (
    ID,
    SMALL,
    DestinationContract,
    deliver,
    make,
    source_of,
    stage,
)
from contract.full_disks import fills_up_and_heals, free_space_is_looked_at_first
from contract.sftp_site import SftpSite, site_at
from dropslot.core.errors import DestinationUnready, Refused, StorageFault, Unsupported
from dropslot.core.templates import Template
from dropslot.destinations.base import SIZE_COMPARED, SYNCED, Planned, Rules, Target
from dropslot.destinations.sftp import publishing, tree
from dropslot.destinations.sftp.destination import Sftp
from dropslot.sftp import connection
from dropslot.sftp.channel import ConnectionGone
from dropslot.sftp.faults import ServerLied
from dropslot.sftp.login import LoginRefused, Unreachable
from dropslot.sftp.ssh_account import Account
from dropslot.sftp.transfers import large, many_files
from misbehaving import (
    ChangesBytes,
    ForgetsReply,
    Honest,
    LinkingRename,
    LosesBytes,
    OpensFolders,
    ReplacingLink,
    ReplacingRename,
    WithoutFsync,
    WithoutHardlink,
)
from mounts import Mounts
from ports import free_port
from sshd import Sshd
from waiting import wait_until


class TestSftp(DestinationContract):
    """As OpenSSH is."""


class TestSftpReadBack(DestinationContract):
    """Every byte is read again."""

    @pytest.fixture
    def site(self, tmp_path: Path, shared_sshd: Sshd) -> SftpSite:
        (tmp_path / "out").mkdir()
        return site_at(shared_sshd, tmp_path / "out", read_back=True)


class TestSftpOverOneChannel(DestinationContract):
    """A server that allows no more."""

    @pytest.fixture(autouse=True)
    def _one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "CHANNELS", 1)


class TestSftpWithoutHardlinks(DestinationContract):
    """OpenSSH with that extension denied: its rename of files is link and unlink, as the probe finds out."""

    @pytest.fixture
    def site(self, tmp_path: Path, make_sshd: Callable[..., Sshd]) -> SftpSite:
        (tmp_path / "out").mkdir()
        return site_at(make_sshd(sftp="internal-sftp -P hardlink"), tmp_path / "out")

    def test_names_are_given_by_rename(self, site: SftpSite, arrival: Path) -> None:
        deliver(site, arrival, site.target())
        assert [naming.links for naming in site.destination._namings.values()] == [False]  # noqa: SLF001 - ours


class TestSftpWithOneSession(DestinationContract):
    """MaxSessions 1, and no wish for syncs."""

    @pytest.fixture
    def site(self, tmp_path: Path, make_sshd: Callable[..., Sshd]) -> SftpSite:
        (tmp_path / "out").mkdir()
        server = make_sshd("MaxSessions 1", sftp="internal-sftp -P fsync,statvfs,limits")
        return site_at(server, tmp_path / "out")


class TestSftpOfAnotherMaker(DestinationContract):
    """asyncssh's server, with hard links."""

    @pytest.fixture
    def site(self, misbehave: Callable[..., SftpSite]) -> SftpSite:
        return misbehave(Honest)


def test_a_server_that_cannot_sync_is_used_and_not_praised(
    misbehave: Callable[..., SftpSite], arrival: Path
) -> None:
    site = misbehave(WithoutFsync)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        assert drop.publish(stage(drop, arrival)) == []
        site.destination.sync_names([drop])
        assert drop.proved == {SIZE_COMPARED}
        drop.clean()
    assert len(site.files()) == len(SMALL)


def test_a_folder_whose_sync_fails_is_tried_again(misbehave: Callable[..., SftpSite], arrival: Path) -> None:
    site = misbehave(OpensFolders)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        assert drop.publish(stage(drop, arrival)) == []
        with pytest.raises(StorageFault, match="Input/output error"):
            site.destination.sync_names([drop])


@pytest.mark.parametrize("kind", [WithoutHardlink, ReplacingRename])
def test_a_server_that_might_replace_is_unsupported(
    misbehave: Callable[..., SftpSite], kind: type[Honest]
) -> None:
    site = misbehave(kind)
    with pytest.raises(Unsupported, match=r"rename (first looks|replaces)"):
        site.destination.check(site.target())
    assert site.files() == {}
    assert site.hidden() == []


def test_a_link_that_replaces_is_found_out(misbehave: Callable[..., SftpSite], arrival: Path) -> None:
    site = misbehave(ReplacingLink)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        with pytest.raises(Unsupported):
            drop.stage(source_of(arrival))
        drop.clean()
    assert site.files() == {}


def test_a_rename_that_links_is_good_enough(misbehave: Callable[..., SftpSite], arrival: Path) -> None:
    site = misbehave(LinkingRename)
    site.put("study/raw/a.txt", b"there before")
    assert [planned.path for planned in deliver(site, arrival, site.target())] == ["a.txt"]
    assert site.files()["study/raw/a.txt"] == b"there before"


def test_a_lost_write_is_found_by_the_size(misbehave: Callable[..., SftpSite], arrival: Path) -> None:
    site = misbehave(LosesBytes)
    with pytest.raises(ServerLied, match="acknowledged 300,000 bytes"):
        deliver(site, arrival, site.target())
    assert site.files() == {}


def test_changed_bytes_are_found_by_reading_back(misbehave: Callable[..., SftpSite], arrival: Path) -> None:
    site = misbehave(ChangesBytes, read_back=True)
    with pytest.raises(ServerLied, match="returns other bytes"):
        deliver(site, arrival, site.target())
    assert site.files() == {}


def test_a_lost_reply_is_reconciled_by_reading_back(
    misbehave: Callable[..., SftpSite], arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(ForgetsReply, "forgotten", False)
    site = misbehave(ForgetsReply)
    site.put("study/raw/other", b"so that the folder is there")
    assert deliver(site, arrival, site.target()) == []
    assert ForgetsReply.forgotten
    assert site.files().keys() == {*(f"study/raw/{path}" for path in SMALL), "study/raw/other"}


def test_modes_and_group_are_as_the_rule_says(site: SftpSite, arrival: Path) -> None:
    gid = grp.getgrnam("games").gr_gid
    deliver(site, arrival, site.target(rules=Rules(group="games", file_mode=0o640, folder_mode=0o2750)))
    for path in site.root.rglob("*"):
        seen = path.stat()
        assert seen.st_gid == gid, path
        assert stat.S_IMODE(seen.st_mode) == (0o2750 if path.is_dir() else 0o640), path
    with pytest.raises(DestinationUnready, match="getent group"):
        site.destination.check(site.target(rules=Rules(group="no-such-group")))


def test_times_are_kept(site: SftpSite, arrival: Path) -> None:
    for path in (arrival / "a.txt", arrival / "sub"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    deliver(site, arrival, site.target())
    for name in ("a.txt", "sub"):
        assert (site.root / "study/raw" / name).stat().st_mtime == 1_000_000_000


def test_a_full_disk_publishes_nothing_and_heals(
    mounts: Mounts, tmp_path: Path, shared_sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_at(shared_sshd, mounts.tmpfs("1m"))
    fills_up_and_heals(
        site,
        tmp_path,
        lambda: monkeypatch.setattr(tree, "require_space", lambda *_: None),
        lambda: mounts.remount(site.root, "size=8m"),
    )


def test_what_is_free_is_looked_at_before_staging(mounts: Mounts, tmp_path: Path, shared_sshd: Sshd) -> None:
    site = site_at(shared_sshd, mounts.tmpfs("1m", "nr_inodes=30"))
    free_space_is_looked_at_first(site, tmp_path)


def test_no_permission_is_said(open_folder: Path, shared_sshd: Sshd, arrival: Path, mounts: Mounts) -> None:
    root = mounts.ext4()
    (root / "study").mkdir()
    site = site_at(shared_sshd, root)
    mounts.remount(root, "ro")
    with pytest.raises(DestinationUnready, match="failed"):
        deliver(site, arrival, site.target())
    mounts.remount(root, "rw")
    assert deliver(site, arrival, site.target()) == []


def test_a_name_that_the_server_cannot_store_is_refused(
    mounts: Mounts, tmp_path: Path, shared_sshd: Sshd
) -> None:
    site = site_at(shared_sshd, mounts.ext4())
    source = make(tmp_path / "a", {"x": b"1"})
    with site.destination.open(site.target(), ID, 1, "a") as drop:
        stage(drop, source)
        with pytest.raises((Refused, DestinationUnready)):
            drop.stored("y" * 300)
            drop.publish([Planned("x", "y" * 300, hashlib.sha256(b"1").hexdigest())])
        drop.clean()


def test_links_in_the_target_are_never_followed(site: SftpSite, arrival: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (site.root / "study").mkdir()
    (site.root / "study/raw").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationUnready, match="never writes through it"):
        deliver(site, arrival, site.target())
    (site.root / "study/raw").unlink()
    (site.root / "study/raw").mkdir()
    (site.root / "study/raw/sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationUnready, match="never writes through it"):
        deliver(site, arrival, site.target())
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_staging_folder_of_somebody_else_is_refused(site: SftpSite, arrival: Path) -> None:
    (site.root / ".dropslot/stage/theirs").mkdir(
        parents=True
    )  # an empty one is removed, and made anew as our own
    (site.root / ".dropslot/stage").chmod(0o777)
    with pytest.raises(DestinationUnready, match="not the account's own"):
        deliver(site, arrival, site.target())


def test_what_a_killed_process_tried_out_is_swept_when_it_is_old(site: SftpSite, arrival: Path) -> None:
    stage = site.root / ".dropslot/stage"
    for name in ("trial.dead", "trial.live"):
        (stage / name / "naming").mkdir(parents=True)
    stage.chmod(0o700)
    os.utime(stage / "trial.dead", (1_000_000_000, 1_000_000_000))
    deliver(site, arrival, site.target())
    assert os.listdir(stage) == ["trial.live"]


def test_a_folder_that_is_not_to_be_made_is_refused(site: SftpSite, arrival: Path) -> None:
    site.destination = Sftp(site.destination.account)
    with pytest.raises(Refused, match="create_folders"):
        site.destination.check(site.target())
    (site.root / "study/raw").mkdir(parents=True)
    assert deliver(site, arrival, site.target()) == []


def test_more_folders_than_a_server_has_descriptors(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    """Into a folder that is there, so that they are named, synced and removed from the staging one by one."""
    program = "ulimit -n 200; exec /usr/lib/openssh/sftp-server"
    (tmp_path / "out").mkdir()
    site = site_at(make_sshd("MaxSessions 1", sftp=program), tmp_path / "out")
    site.put("study/raw/other", b"so that the folder is there")
    source = make(tmp_path / "many", {"file": b"1"} | {f"{number:03}/in/": b"" for number in range(300)})
    with site.destination.open(site.target(), ID, 1, "many") as drop:
        assert drop.publish(stage(drop, source)) == []
        site.destination.sync_names([drop])
        assert drop.proved is not None
        assert SYNCED in drop.proved
        drop.clean()
    assert len(site.files()) == 2
    assert site.hidden() == []


def test_a_home_is_where_the_account_starts(
    make_sshd: Callable[..., Sshd], open_folder: Path, arrival: Path
) -> None:
    start = open_folder / "start"
    (start / "in").mkdir(parents=True)
    server = make_sshd(sftp=f"internal-sftp -d {start}")
    site = site_at(server, start / "in")
    fixed = server.url("~/in")
    target = Target(f"{fixed}/study/raw", fixed)
    with site.destination.open(target, ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        assert drop.publish(plan) == []
        drop.clean()
    assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """sshd wants that nobody may write to any folder above a chroot, which rules /tmp out."""
    folder = Path(tempfile.mkdtemp(prefix="dropslot-jail-", dir="/srv"))
    yield folder
    shutil.rmtree(folder)


def test_chroot_and_account_of_ones_own(
    make_sshd: Callable[..., Sshd], closed_folder: Path, arrival: Path
) -> None:
    person = pwd.getpwnam("games")
    (root := closed_folder).chmod(0o755)
    (root / "upload").mkdir()
    os.chown(root / "upload", person.pw_uid, person.pw_gid)
    server = make_sshd(
        "Match User games",
        f"    ChrootDirectory {root}",
        "    ForceCommand internal-sftp",
    )
    account = Account("games", "127.0.0.1", server.port, str(server.key), str(server.known_hosts))
    destination = Sftp(account, create_folders=True)
    site = SftpSite(root / "upload", server, destination)
    fixed = server.url("/upload", "games")
    target = Target(f"{fixed}/study", fixed)
    with destination.open(target, ID, 1, "arrival") as drop:
        assert drop.publish(stage(drop, arrival)) == []
        drop.clean()
    assert (root / "upload/study/a.txt").stat().st_uid == person.pw_uid
    with pytest.raises(DestinationUnready, match="permission denied"):
        destination.examine(Target(server.url("/", "games"), server.url("/", "games")))
    assert site.hidden() == []


def test_the_root_of_a_server_can_hold_the_folders(shared_sshd: Sshd, tmp_path: Path, arrival: Path) -> None:
    """As an account has it that is kept in a folder of its own (chroot)."""
    site = site_at(shared_sshd, Path("/"))
    first, *inner = tmp_path.parts[1:]
    template = Template(f"{shared_sshd.url('/')}{{top}}/{'/'.join(inner)}/clinic")
    target = Target(template.fill({"top": first}), template.fixed)
    site.destination.check(target)
    with site.destination.open(target, ID, 1, "arrival") as drop:
        assert drop.is_new()


def test_a_refused_login_is_said(shared_sshd: Sshd, tmp_path: Path) -> None:
    shared_sshd.make_key(tmp_path / "other")
    account = Account(
        "root", "127.0.0.1", shared_sshd.port, str(tmp_path / "other"), str(shared_sshd.known_hosts)
    )
    with pytest.raises(LoginRefused, match="authorized_keys"):
        Sftp(account).check(Target(shared_sshd.url(tmp_path), shared_sshd.url(tmp_path)))


def test_a_server_without_sftp_is_said(make_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    server = make_sshd(sftp="/bin/echo Welcome to this machine")
    site = site_at(server, tmp_path)
    with pytest.raises(DestinationUnready, match="offers no SFTP"):
        site.destination.check(site.target())


def test_a_server_that_says_nothing_is_given_up(
    make_sshd: Callable[..., Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.5)
    site = site_at(make_sshd(sftp="/bin/sleep 60"), tmp_path)
    with pytest.raises(DestinationUnready, match="offers no SFTP"):
        site.destination.check(site.target())


def test_new_keys_in_the_midst_of_the_data_change_nothing(
    make_sshd: Callable[..., Sshd], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    server = make_sshd("RekeyLimit 1M", "LogLevel DEBUG")
    site = site_at(server, tmp_path / "out")
    contents = {f"{number % 7}/{number}.bin": bytes([number]) * (number * 977) for number in range(60)}
    contents["large.bin"] = os.urandom(12 * 1024 * 1024)
    deliver(site, make(tmp_path / "many", contents), site.target())
    found = site.files()
    assert all(found[f"study/raw/{path}"] == data for path, data in contents.items())
    assert (server.folder / "log").read_text().count("rekey") > 5


def test_nobody_listens(tmp_path: Path, shared_sshd: Sshd) -> None:
    account = Account("root", "127.0.0.1", free_port(), str(shared_sshd.key), str(shared_sshd.known_hosts))
    url = f"sftp://root@127.0.0.1:{account.port}{tmp_path}"
    with pytest.raises(Unreachable, match="retried"):
        Sftp(account).check(Target(url, url))


def test_a_cut_in_mid_file_is_gone_on_with_from_what_is_durable(
    make_sshd: Callable[..., Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sessions are killed once a mark is synced: the rest is sent over a new connection, and no more."""
    monkeypatch.setattr(many_files.Upload, "mark_bytes", 1 << 20)
    monkeypatch.setattr(many_files, "SMALL_BYTES", 1 << 20)
    server = make_sshd()
    (tmp_path / "out").mkdir()
    site = site_at(server, tmp_path / "out")
    data = os.urandom(24 << 20)
    source = make(tmp_path / "a", {"big": data, "small": b"s"})
    starts: list[int] = []
    original_open, original_piece = large.Large.open, large.Large.piece

    async def noted(one: large.Large) -> int:
        starts.append(await original_open(one))
        return starts[-1]

    async def cut_once(one: large.Large, offset: int, piece: bytes) -> None:
        await original_piece(one, offset, piece)
        if len(starts) == 1 and one.sending.known.marks.get(one.number, 0) >= 4 << 20:
            server.cut()

    monkeypatch.setattr(large.Large, "open", noted)
    monkeypatch.setattr(large.Large, "piece", cut_once)
    assert deliver(site, source, site.target()) == []
    assert site.files() == {"study/raw/big": data, "study/raw/small": b"s"}
    assert len(starts) == 2
    assert starts[1] >= 4 << 20


def test_a_cut_at_publication_is_reconciled(
    make_sshd: Callable[..., Sshd], tmp_path: Path, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_sshd()
    (tmp_path / "out").mkdir()
    site = site_at(server, tmp_path / "out")
    site.put("study/raw/other", b"so that the folder is there")
    original = publishing.Publication._name  # noqa: SLF001 - ours
    cuts: list[object] = []

    async def name_then_cut(publication: publishing.Publication, entries: Any) -> Any:
        taken = await original(publication, entries)
        if not cuts:
            cuts.append(entries)
            publication.given.clear()  # as if no answer had come
            server.cut()
            raise ConnectionGone("cut")
        return taken

    monkeypatch.setattr(publishing.Publication, "_name", name_then_cut)
    assert deliver(site, arrival, site.target()) == []
    assert cuts
    assert site.files().keys() == {*(f"study/raw/{path}" for path in SMALL), "study/raw/other"}


def test_a_server_that_stays_away_is_a_retryable_error(
    make_sshd: Callable[..., Sshd], tmp_path: Path, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_files, "DELAYS_SECONDS", (0.01,))
    server = make_sshd()
    (tmp_path / "out").mkdir()
    site = site_at(server, tmp_path / "out")
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        server.stop()
        with pytest.raises(DestinationUnready) as caught:
            drop.publish(plan)
        assert caught.value.retryable
    server.start()
    with site.destination.open(site.target(), ID, 2, "arrival") as drop:
        drop.discard_older()
        assert drop.publish(stage(drop, arrival)) == []
        drop.clean()
    assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}
    assert site.hidden() == []


def ended(child: int) -> int:
    """The exit status of a fork; one that hangs is killed."""
    try:
        _, status = wait_until(  # type: ignore[misc]  # 0 is waited out
            lambda: (end := os.waitpid(child, os.WNOHANG))[0] and end,
            deadline_seconds=60,
            what="the fork's end",
        )
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(status)


def test_a_fork_shares_no_connection(site: SftpSite, arrival: Path) -> None:
    site.destination.check(site.target())  # a connection is made
    child = os.fork()
    if child == 0:
        try:
            deliver(site, arrival, site.target())
            os._exit(0)
        finally:
            os._exit(1)
    assert ended(child) == 0
    site.destination.check(site.target())
    assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}
