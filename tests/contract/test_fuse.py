"""The local destination on real FUSE file systems, whose operations are not the kernel's own."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.destination_contract import ID, DestinationContract, deliver, make, stage
from contract.test_local import LocalSite
from dropslot.core.context import kept
from dropslot.core.errors import DestinationUnready, Unsupported
from dropslot.destinations.base import Rules
from dropslot.destinations.local.destination import Local
from dropslot.files import filesystems, network_mounts
from dropslot.files.filesystems import Naming
from mounts import Mounts
from sshd import Sshd


class OnFuse(DestinationContract):
    """A folder of its own on the mount `mounted`."""

    @pytest.fixture
    def site(self, mounted: Path) -> LocalSite:
        return LocalSite(Path(tempfile.mkdtemp(dir=mounted)), Local())

    def test_names_are_given_by_link(self, site: LocalSite) -> None:
        site.destination.check(site.target())
        assert kept(filesystems.Namings)[os.stat(site.root).st_dev] is Naming.LINK
        assert os.listdir(site.root) == []


@pytest.fixture(scope="module")
def bindfs(lasting_mounts: Mounts) -> Path:
    return lasting_mounts.bindfs()


@pytest.fixture(scope="module")
def sshfs(lasting_mounts: Mounts, shared_sshd: Sshd) -> Iterator[Path]:
    mounted = lasting_mounts.sshfs(shared_sshd)
    yield mounted
    lasting_mounts.unmount(mounted)  # before its server ends


@pytest.fixture(scope="module")
def ntfs_3g(lasting_mounts: Mounts) -> Path:
    return lasting_mounts.ntfs_3g()


@pytest.fixture(scope="module")
def like_nfs(lasting_mounts: Mounts) -> Path:
    return lasting_mounts.odd("lost-answers", "no-folder-sync", "whole-seconds")


def test_a_share_is_one_disk_for_all_machines_and_other_disks_are_not(
    sshfs: Path, bindfs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for machine in ("server", "worker-1"):
        monkeypatch.setattr(socket, "gethostname", lambda name=machine: name)
        found[machine] = [network_mounts.disk_of(os.stat(folder).st_dev) for folder in (sshfs, bindfs)]
    (share, own), (same, other) = found["server"], found["worker-1"]
    assert share == same and share.machine == "" and share.id.startswith("root@127.0.0.1:/")
    assert own != other and other.machine == "worker-1"


class TestBindfs(OnFuse):
    @pytest.fixture
    def mounted(self, bindfs: Path) -> Path:
        return bindfs


class TestSshfs(OnFuse):
    """Each name of a file has an inode number of its own; times are whole seconds."""

    @pytest.fixture
    def mounted(self, sshfs: Path) -> Path:
        return sshfs


class TestNtfs3g(OnFuse):
    """Modes and owners are those of the mount."""

    @pytest.fixture
    def mounted(self, ntfs_3g: Path) -> Path:
        return ntfs_3g


class TestLikeNfs(OnFuse):
    """Answers to links are lost, folders cannot be synced, times are whole seconds."""

    @pytest.fixture
    def mounted(self, like_nfs: Path) -> Path:
        return like_nfs


def test_a_mount_with_neither_operation_is_refused_with_what_would_work(mounts: Mounts) -> None:
    site = LocalSite(mounts.rclone(), Local())
    with pytest.raises(Unsupported, match="sftp://"):
        site.destination.check(site.target())
    assert os.listdir(site.root) == []


@pytest.mark.parametrize("rules", [Rules(file_mode=0o640), Rules(folder_mode=0o750), Rules(group="games")])
@pytest.mark.parametrize("kind", ["ntfs", "refusing"])
def test_modes_that_a_file_system_does_not_keep_are_said_at_the_start(
    mounts: Mounts, kind: str, rules: Rules
) -> None:
    if kind == "refusing" and rules.group:
        return  # EPERM is what somebody who is not a member of the group gets as well
    site = LocalSite(mounts.ntfs_3g() if kind == "ntfs" else mounts.odd("no-modes"), Local())
    with pytest.raises(Unsupported, match="fmask="):
        site.destination.check(site.target("", rules))
    site.destination.check(site.target())
    assert os.listdir(site.root) == []


def test_modes_that_are_those_of_the_mount_are_fine(mounts: Mounts) -> None:
    site = LocalSite(mounts.ntfs_3g("fmask=137", "dmask=027"), Local())
    site.destination.check(site.target("", Rules(file_mode=0o640, folder_mode=0o750)))


def test_a_staged_file_that_a_program_has_open_delays_the_end_and_nothing_else(
    bindfs: Path, tmp_path: Path
) -> None:
    """FUSE programs keep it under another name until it is closed, so that its folder never gets empty."""
    site = LocalSite(Path(tempfile.mkdtemp(dir=bindfs)), Local())
    source = make(tmp_path / "arrival", {"a": b"1"})
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = stage(drop, source)
        stream = drop.open_staged("a")
        assert stream is not None
        with stream:
            assert drop.publish(plan) == []
            with pytest.raises(DestinationUnready, match="removing"):
                drop.clean()
            assert stream.read() == b"1"
    with site.destination.open(site.target(), ID, 2, "arrival") as drop:
        drop.discard_older()
    assert site.files() == {"study/raw/a": b"1"}
    assert site.hidden() == []


def test_another_file_system_with_the_number_of_an_earlier_one_is_tried_out_anew(
    bindfs: Path, tmp_path: Path
) -> None:
    site = LocalSite(Path(tempfile.mkdtemp(dir=bindfs)), Local())
    source = make(tmp_path / "arrival", {"sub/a": b"1"})
    kept(filesystems.Namings)[os.stat(site.root).st_dev] = Naming.RENAME
    with pytest.raises(DestinationUnready):
        deliver(site, source, site.target())
    assert deliver(site, source, site.target(), epoch=2) == []
    assert site.files() == {"study/raw/sub/a": b"1"}
