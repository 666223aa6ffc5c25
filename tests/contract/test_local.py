# mypy: disable-error-code="misc"
"""The local destination: the contract, and what only a real file system can show."""

from __future__ import annotations

import gc
import grp
import hashlib
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from acting import acting
from contract.destination_contract import (
    ID,
    SMALL,
    DestinationContract,
    OnDisk,
    Site,
    deliver,
    make,
    plan_of,
    source_of,
    stage,
)
from contract.full_disks import fills_up_and_heals, free_space_is_looked_at_first
from dropslot.core.context import kept
from dropslot.core.errors import (
    DestinationUnready,
    Refused,
    SourceChanged,
    StorageFault,
    TakenOver,
    Unsupported,
)
from dropslot.destinations.base import Destination, Planned, Rules, Target
from dropslot.destinations.layout import epoch_of_stage
from dropslot.destinations.local import publishing
from dropslot.destinations.local.destination import Local
from dropslot.files import children, copying, filesystems, folder_probe, sharing, syscalls
from dropslot.files.filesystems import Naming
from dropslot.files.writing import dense, earlysync
from mounts import Mounts
from people import Person
from waiting import wait_until


@dataclass
class LocalSite(OnDisk):
    """A folder, looked at with os.walk."""

    root: Path
    destination: Destination

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        return Target(
            str(self.root / inner) if inner else str(self.root), str(self.root), rules=rules or Rules()
        )


@pytest.fixture
def site(tmp_path: Path) -> LocalSite:
    (tmp_path / "out").mkdir()
    return LocalSite(tmp_path / "out", Local())


class TestLocal(DestinationContract):
    """With renameat2."""


class TestLocalWithLinks(DestinationContract):
    """As on NFS: names by link(2), folders by mkdir."""

    @pytest.fixture(autouse=True)
    def _links_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filesystems, "_refuses_and_renames", lambda *_: False)

    def test_the_probe_found_links(self, site: Site) -> None:
        site.destination.check(site.target())
        assert set(kept(filesystems.Namings).values()) == {Naming.LINK}


class TestLocalByTwoProcesses(DestinationContract):
    """Everything is shared with a child, however small."""

    @pytest.fixture(autouse=True)
    def _always_two(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sharing, "FORK_COST_BYTES", 0)
        monkeypatch.setattr(sharing, "CHUNK_COST_BYTES", 1)
        monkeypatch.setattr(sharing, "_worth_a_child", lambda items, chunks: len(chunks) > 1)


class TestLocalOnNetworkFileSystems(DestinationContract):
    """Each file is synced before it is closed."""

    @pytest.fixture(autouse=True)
    def _network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filesystems, "is_network", lambda kind: True)


@pytest.fixture(autouse=True)
def _no_descriptor_and_no_child_is_left(little_to_collect):  # type: ignore[no-untyped-def]
    gc.collect()
    descriptors, children = len(os.listdir("/proc/self/fd")), _children()
    yield
    gc.collect()
    # Fewer is fine: what an earlier test began may end meanwhile. A sync that began early may last a little longer.
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors, what="the end of all descriptors")
    assert _children() == children


def _children() -> set[str]:
    """A server that many tests use may be one."""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def test_a_new_target_appears_by_one_rename(
    site: LocalSite, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[str] = []
    real = syscalls.rename_no_replace

    def spy(*arguments: object) -> None:
        assert site.files() == {}
        renamed.append(str(arguments[3]))
        real(*arguments)  # type: ignore[arg-type]

    with site.destination.open(site.target("pid/study"), ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        site.destination.check(site.target())  # the probe renames, too
        monkeypatch.setattr(syscalls, "rename_no_replace", spy)
        assert drop.publish(plan) == []
        monkeypatch.undo()
        drop.clean()
    assert renamed == ["pid"]
    assert len(site.files()) == len(SMALL)


def test_times_are_those_of_the_source(site: LocalSite, arrival: Path) -> None:
    for number, path in enumerate(["sub/deep/c", "sub/deep", "sub", "a.txt"], 1):
        os.utime(arrival / path, ns=(number, number * 1_000_000_007))
    deliver(site, arrival, site.target())
    for path in ("sub/deep/c", "sub/deep", "sub", "a.txt"):
        assert os.stat(site.root / "study/raw" / path).st_mtime_ns == os.stat(arrival / path).st_mtime_ns


def test_missing_fixed_part_is_never_made(site: LocalSite, arrival: Path) -> None:
    gone = Target(str(site.root / "mnt/x"), str(site.root / "mnt"))
    for call in (
        lambda: site.destination.check(gone),
        lambda: site.destination.open(gone, ID, 1, "a").stage(source_of(arrival)),
    ):
        with pytest.raises(DestinationUnready, match="unmounted disk is not filled"):
            call()
    wanted = Target(str(site.root / "s/raw"), str(site.root), must_exist=str(site.root / "s"))
    with pytest.raises(Refused, match="must_exist forbids"):
        site.destination.check(wanted)
    assert os.listdir(site.root) == []


@pytest.mark.parametrize("where", ["study", "study/raw", "study/raw/sub"])
@pytest.mark.parametrize("what", ["link", "dangling", "file"])
def test_links_and_files_in_the_place_of_folders_are_never_written_through(
    site: LocalSite, arrival: Path, tmp_path: Path, where: str, what: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    place = site.root / where
    place.parent.mkdir(parents=True, exist_ok=True)
    if what == "file":
        place.write_bytes(b"")
    else:
        place.symlink_to(outside if what == "link" else tmp_path / "nowhere")
    with pytest.raises(DestinationUnready, match="link or not a folder"):
        deliver(site, arrival, site.target())
    assert os.listdir(outside) == []
    assert not (tmp_path / "nowhere").exists()


def test_dot_dropslot_as_a_link_is_refused(site: LocalSite, arrival: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (site.root / ".dropslot").symlink_to(tmp_path / "outside")
    with pytest.raises(DestinationUnready):
        deliver(site, arrival, site.target())
    assert os.listdir(tmp_path / "outside") == []


def test_a_stage_that_others_may_write_to_is_refused(site: LocalSite, arrival: Path) -> None:
    (site.root / ".dropslot/stage").mkdir(parents=True)
    (site.root / ".dropslot/stage/trap").mkdir()
    (site.root / ".dropslot/stage").chmod(0o777)
    with pytest.raises(DestinationUnready, match="mode 777"):
        deliver(site, arrival, site.target())


def test_the_fixed_part_may_be_a_link_of_the_operators(
    site: LocalSite, arrival: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(site.root)
    target = Target(str(tmp_path / "link/study/raw"), str(tmp_path / "link"))
    assert deliver(site, arrival, target) == []
    assert len(site.files()) == len(SMALL)


def test_a_target_that_was_moved_away_is_noticed(site: LocalSite, arrival: Path) -> None:
    (site.root / "study/raw").mkdir(parents=True)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        os.rename(site.root / "study", site.root / "elsewhere")
        with pytest.raises(DestinationUnready, match="renamed or replaced"):
            drop.publish(plan)
        assert site.files() == {}


def test_a_folder_half_removed_by_a_takeover_can_never_be_published(site: LocalSite, arrival: Path) -> None:
    """The old worker wakes while the new one removes its staging: it finds no folder under the name it wants."""
    old = site.destination.open(site.target(), ID, 1, "arrival")
    plan = stage(old, arrival)
    tried: list[object] = []
    real = os.unlink

    def unlink(path: str, *, dir_fd: int) -> None:
        real(path, dir_fd=dir_fd)
        if not tried:
            tried.append(path)
            with pytest.raises((TakenOver, StorageFault)):
                old.publish(plan)

    with site.destination.open(site.target(), ID, 2, "arrival") as new, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        new.discard_older()
    assert tried
    assert site.files() == {}
    old.close()


def test_discarding_wins_against_a_worker_that_goes_on_writing(site: LocalSite, tmp_path: Path) -> None:
    many = make(tmp_path / "many", {f"d{n % 7}/f{n}": b"x" for n in range(3000)})
    source = source_of(many)
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        drop = site.destination.open(site.target(), ID, 1, "many")
        try:
            while True:
                os.write(send, b".")
                drop.stage(source)
        except (DestinationUnready, TakenOver, FileNotFoundError):
            os._exit(0)
        finally:
            os._exit(9)
    os.read(receive, 1)
    with site.destination.open(site.target(), ID, 2, "many") as new:
        new.stage(source)  # makes its own folder first, then removes the older ones
    _, status = os.waitpid(pid, 0)
    os.close(receive)
    os.close(send)
    assert os.waitstatus_to_exitcode(status) == 0
    [left] = os.listdir(site.root / ".dropslot/stage")
    assert epoch_of_stage(ID, left) == 2


def test_workers_that_end_at_the_same_time_do_not_take_the_staging_folder_from_each_other(
    site: LocalSite, tmp_path: Path
) -> None:
    """Each removes `.dropslot/stage` when it is empty; the other may be about to make something in it."""
    source = source_of(make(tmp_path / "small", {"scan": b"x"}))

    def deliver_many(worker: int) -> None:
        for number in range(300):
            with site.destination.open(site.target(), f"{number:025}{worker}", 1, "small") as drop:
                drop.discard_older()
                drop.stage(source)
                drop.clean()

    with ThreadPoolExecutor() as pool:
        list(pool.map(deliver_many, range(4)))
    assert os.listdir(site.root) == []


class Meddling:
    """A hash that does something to the source when it has seen the first bytes."""

    def __init__(self, real: object, act: object) -> None:
        self.real, self.act = real, act

    def copy(self) -> Meddling:
        return Meddling(self.real.copy(), self.act)  # type: ignore[attr-defined]

    def update(self, data: bytes) -> None:
        self.real.update(data)  # type: ignore[attr-defined]
        self.act()  # type: ignore[operator]

    def digest(self) -> bytes:
        return self.real.digest()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("size_bytes", [1_000_000, 70_000_000])
@pytest.mark.parametrize("action", ["grow", "shrink"])
def test_files_that_change_while_they_are_read(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int, action: str
) -> None:
    path = tmp_path / "one.raw"
    path.write_bytes(b"1" * size_bytes)

    def act() -> None:
        os.truncate(path, size_bytes + 10_000_000 if action == "grow" else 300_000)

    real = copying.fresh_hashes(("sha256",))[0]
    monkeypatch.setattr(copying, "fresh_hashes", lambda _: (Meddling(real, act),))
    monkeypatch.setattr("dropslot.destinations.local.staging.fresh_hashes", lambda _: (Meddling(real, act),))
    with site.destination.open(site.target(), ID, 1, "one") as drop:
        source = source_of(path)
        with pytest.raises(SourceChanged, match="grew" if action == "grow" else "shrank"):
            drop.stage(source)
        drop.clean()
    assert site.files() == {}


def test_big_items_are_hashed_beside_the_writing(site: LocalSite, tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 70 + b"end"
    (tmp_path / "big.raw").write_bytes(data)
    with site.destination.open(site.target(), ID, 1, "big") as drop:
        (item,) = drop.stage(source_of(tmp_path / "big.raw"), ("sha256", "md5"))
        assert item.digests == {n: hashlib.new(n, data).hexdigest() for n in ("sha256", "md5")}
        stream = drop.open_staged("big.raw")
        assert stream is not None
        with stream:
            assert stream.read() == data
        drop.clean()


def test_the_copy_of_a_big_item_never_runs_far_ahead_of_its_hashing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "SENT_BYTES", 4096)
    monkeypatch.setattr(dense, "AHEAD", 4)
    data, copy = os.urandom(4096 * 4000), tmp_path / "copy"
    (tmp_path / "big.raw").write_bytes(data)

    class Slow:
        hashed = furthest = 0

        def update(self, part: bytes | memoryview) -> None:
            if not self.hashed:  # all that may be written is
                wait_until(lambda: copy.stat().st_size >= 6 * 4096, deadline_seconds=60, what="six pieces")
            for _ in range(1000 if not self.hashed else 1):
                os.sched_yield()
            self.furthest = max(self.furthest, copy.stat().st_size - self.hashed)
            self.hashed += len(part)

    slow = Slow()
    fd, out = os.open(tmp_path / "big.raw", os.O_RDONLY), os.open(copy, os.O_RDWR | os.O_CREAT)
    try:
        buffer = memoryview(bytearray(4096))
        assert dense.copy_hashing_aside(fd, out, [slow], len(data), buffer) == slow.hashed == len(data)
    finally:
        os.close(fd)
        os.close(out)
    assert copy.read_bytes() == data and slow.furthest <= 7 * 4096


def test_short_writes_lose_nothing(site: LocalSite, arrival: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[: max(1, len(data) // 3)]))
    deliver(site, arrival, site.target())
    assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}


def test_short_reads_lose_nothing(site: LocalSite, arrival: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a FUSE file system may give them: what comes late is no change of the source."""
    real = os.readv
    monkeypatch.setattr(os, "readv", lambda fd, into: real(fd, [into[0][:1]]))
    deliver(site, arrival, site.target())
    assert site.files() == {f"study/raw/{path}": data for path, data in SMALL.items()}


@pytest.mark.parametrize("two", [True, False])
def test_a_full_disk_publishes_nothing_and_heals(
    mounts: Mounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: bool
) -> None:
    site = LocalSite(mounts.tmpfs("1m"), Local())
    if two:
        monkeypatch.setattr(sharing, "CHUNK_COST_BYTES", 1)
        monkeypatch.setattr(sharing, "_worth_a_child", lambda *_: True)
    fills_up_and_heals(
        site,
        tmp_path,
        lambda: monkeypatch.setattr("dropslot.destinations.local.staging.require_space", lambda *_: None),
        lambda: mounts.remount(site.root, "size=4m"),
    )


def test_what_is_free_is_looked_at_before_staging(mounts: Mounts, tmp_path: Path) -> None:
    site = LocalSite(mounts.tmpfs("1m", "nr_inodes=30"), Local())
    free_space_is_looked_at_first(site, tmp_path)
    sparse = tmp_path / "sparse"
    sparse.touch()
    os.truncate(sparse, 1 << 40)
    with pytest.raises(Refused, match="sparse"):
        deliver(site, sparse, site.target())


def test_read_only_remount(mounts: Mounts, arrival: Path) -> None:
    site = LocalSite(mounts.ext4(), Local())
    (site.root / "study").mkdir()
    mounts.remount(site.root, "ro")
    for call in (
        lambda: site.destination.check(site.target()),
        lambda: deliver(site, arrival, site.target()),
    ):
        with pytest.raises(DestinationUnready, match="Read-only file system"):
            call()
    mounts.remount(site.root, "rw")
    assert deliver(site, arrival, site.target()) == []


def test_another_file_system_inside_the_target_is_said(mounts: Mounts, tmp_path: Path) -> None:
    site = LocalSite(mounts.tmpfs("4m"), Local())
    (site.root / "study/raw/sub").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", site.root / "study/raw/sub"], check=True)
    try:
        with pytest.raises(DestinationUnready, match="cross-device"):
            deliver(site, make(tmp_path / "a", {"sub/x": b"1"}), site.target())
    finally:
        subprocess.run(["umount", site.root / "study/raw/sub"], check=True)


FAULTY = """
import sys
import threading
from pathlib import Path
sys.path[:0] = [sys.argv[1] + "/src", sys.argv[1] + "/tests"]
from contract.destination_contract import deliver
from contract.test_local import LocalSite
from dropslot.core.errors import DropslotError
from dropslot.destinations.local.destination import Local
site = LocalSite(Path(sys.argv[2]), Local())
try:
    deliver(site, Path(sys.argv[3]), site.target())
except DropslotError as error:
    print(error.code)
else:
    print("delivered")
print(sorted(site.files()))
"""
REPOSITORY = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("inject", "code"),
    [
        ("fsync:error=EIO:when=1", "storage-fault"),
        ("syncfs:error=EIO:when=1", "storage-fault"),
        ("write:error=ENOSPC:when=1+", "disk-full"),
        ("write:error=EDQUOT:when=1+", "disk-full"),
        ("readv:error=EIO:when=1+", "storage-fault"),
        ("renameat2:error=EACCES:when=3+", "destination-unready"),
    ],
)
def test_injected_faults_publish_nothing(
    site: LocalSite, tmp_path: Path, strace: object, inject: str, code: str
) -> None:
    files = {f"f{n}": b"x" for n in range(3 if inject.startswith("fsync") else 40)}
    source = make(tmp_path / "source", files)
    call = inject.partition(":")[0]
    # -B: bytecode that Python writes would be the first that fails.
    command = [sys.executable, "-B", "-c", FAULTY, REPOSITORY, site.root, source]
    if call == "write":  # Python's own output would fail, too
        inject = inject.replace("when=1+", "when=1")
    trace = strace(command, calls=call, inject=[inject])  # type: ignore[operator]
    assert trace.stdout.splitlines() == [code, "[]"], trace.stderr
    assert any(c.injected for c in trace.calls)


@pytest.mark.parametrize(
    ("inject", "said"),
    [
        (["sendfile:error=ENOSPC:when=2"], ["disk-full", "[]"]),
        (["sendfile:error=EIO:when=2"], ["storage-fault", "[]"]),
        (["sendfile:error=EIO:when=2", "preadv2:error=EACCES:when=1+"], ["source-unready", "[]"]),
        (["preadv2:error=EIO:when=3"], ["storage-fault", "[]"]),
        (["sendfile:error=EINVAL:when=1"], ["delivered", "['study/raw/big.raw']"]),
    ],
    ids=lambda value: value[-1].replace(":", "-"),
)
def test_faults_while_the_kernel_copies_a_big_item(
    site: LocalSite, tmp_path: Path, strace: object, inject: list[str], said: list[str]
) -> None:
    source = make(tmp_path / "source", {"big.raw": bytes(range(256)) * (dense.BIG_BYTES // 256) + b"end"})
    calls = ",".join(one.partition(":")[0] for one in inject)
    command = [sys.executable, "-c", FAULTY, REPOSITORY, site.root, source]
    trace = strace(command, calls=calls, inject=inject)  # type: ignore[operator]
    assert trace.stdout.splitlines() == said, trace.stderr
    assert {c.name for c in trace.calls if c.injected} == set(calls.split(","))
    assert b"".join(site.files().values()) in (b"", (source / "big.raw").read_bytes())


def test_order_is_data_then_names_then_manifest(site: LocalSite, arrival: Path, strace: object) -> None:
    (site.root / "study/raw").mkdir(parents=True)
    command = [sys.executable, "-c", FAULTY, REPOSITORY, site.root, arrival]
    trace = strace(command, calls="write,fsync,syncfs,renameat2")  # type: ignore[operator]
    assert trace.stdout.startswith("delivered")
    order = []
    for call in trace.calls:
        if (
            not call.succeeded
            or "probe-" in call.args
            or (f"{ID}-1" not in call.args and call.name != "fsync")
        ):
            continue
        if call.name == "renameat2":
            order.append("manifest" if "manifest" in call.args else "name")
        elif call.name in ("fsync", "syncfs") and str(site.root) in call.args:
            order.append("sync")
        elif call.name == "write":
            order.append("data")
    squeezed = [what for at, what in enumerate(order) if at == 0 or order[at - 1] != what]
    assert squeezed == ["data", "sync", "name", "sync", "data", "sync", "manifest", "sync"]


def test_a_failed_sync_is_never_repeated(
    site: LocalSite, arrival: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = plan_of(drop.stage(source_of(arrival)))
        monkeypatch.setattr(os, "fsync", fail)
        monkeypatch.setattr(syscalls, "syncfs", fail)
        with pytest.raises(StorageFault):
            site.destination.sync_staged([drop])
        monkeypatch.undo()
        with pytest.raises((StorageFault, RuntimeError)):
            drop.publish(plan)
        plan = stage(drop, arrival)  # made anew
        assert drop.publish(plan) == []
        drop.clean()


def test_the_sync_at_the_end_begins_while_an_early_one_still_runs(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "a", {f"f{n}": b"x" for n in range(50)})
    monkeypatch.setattr(sharing, "CHUNK_COST_BYTES", 1)
    monkeypatch.setattr(sharing, "_worth_a_child", lambda *_: True)
    monkeypatch.setattr(earlysync, "EVERY_BYTES", 1)
    syncfs, at_the_end, early = syscalls.syncfs, threading.Event(), list[bool]()

    def sync(fd: int) -> None:
        if threading.current_thread().name == "dropslot-sync":
            early.append(at_the_end.wait(20))
        else:
            at_the_end.set()
        syncfs(fd)

    monkeypatch.setattr(syscalls, "syncfs", sync)
    with site.destination.open(site.target(), ID, 1, "a") as drop:
        plan = plan_of(drop.stage(source_of(source)))
        site.destination.sync_staged([drop])
        wait_until(lambda: early)
        assert early == [True] and drop.publish(plan) == []
        drop.clean()


def test_a_killed_child_is_a_storage_fault(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "a", {f"f{n}": b"x" for n in range(50)})
    monkeypatch.setattr(sharing, "CHUNK_COST_BYTES", 1)
    monkeypatch.setattr(sharing, "_worth_a_child", lambda *_: True)
    monkeypatch.setattr(children, "_send", lambda *_: os.kill(os.getpid(), 9))
    with site.destination.open(site.target(), ID, 1, "a") as drop:
        with pytest.raises(StorageFault, match="killed"):
            drop.stage(source_of(source))
        drop.clean()


def test_the_child_dies_with_its_parent(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive, send = os.pipe()
    parent = os.fork()
    if parent == 0:
        os.close(receive)

        def wait_for_ever() -> dict[int, bytes]:
            os.read(os.pipe()[0], 1)
            return {}

        child = children.Child.fork(wait_for_ever)
        assert child
        os.kill(os.getpid(), 9)
    os.close(send)
    os.waitpid(parent, 0)
    assert os.read(receive, 1) == b""  # end of file: the grandchild, which held the other end, is gone
    os.close(receive)


def test_group_and_modes_are_set_on_all_that_is_delivered(site: LocalSite, arrival: Path) -> None:
    rules = Rules(group="games", file_mode=0o640, folder_mode=0o2750)
    deliver(site, arrival, site.target(rules=rules))
    gid = grp.getgrnam("games").gr_gid
    for path in site.root.rglob("*"):
        if path.relative_to(site.root).parts == ("study",) or path != site.root:
            seen = path.stat()
            assert seen.st_gid == gid, path
            assert stat.S_IMODE(seen.st_mode) == (0o2750 if path.is_dir() else 0o640), path


def test_unknown_group_is_said(site: LocalSite, arrival: Path) -> None:
    rules = Rules(group="no-such-group")
    for call in (
        lambda: site.destination.check(site.target(rules=rules)),
        lambda: deliver(site, arrival, site.target(rules=rules)),
    ):
        with pytest.raises(DestinationUnready, match="groupadd no-such-group"):
            call()


def _study_folder(open_folder: Path, service: Person, mode: int = 0o2750) -> tuple[LocalSite, int]:
    """permissions.md: svc:foo-grp 2750, made by root, gives the study group to read."""
    gid = grp.getgrnam("games").gr_gid
    out = open_folder / "out"
    out.mkdir()
    os.chown(out, service.uid, gid)
    out.chmod(mode)
    return LocalSite(out, Local()), gid


RULES = Rules(group="games", folder_mode=0o2750, file_mode=0o640)


@pytest.mark.parametrize("rules", [Rules(), RULES])
@pytest.mark.parametrize("member", [True, False])
def test_a_setgid_folder_gives_its_group_to_all_that_a_service_delivers(
    open_folder: Path, service_user: Person, member: bool, rules: Rules
) -> None:
    """What is right already is not set, so that the service need be no member of the group."""
    source = make(open_folder / "arrival", {"a/b": b"1"})
    site, gid = _study_folder(open_folder, service_user)
    groups = [gid] if member else []
    for target in (site.target("", rules), site.target("study/raw", rules)):
        umask = 0o022 if rules.folder_mode else 0o027
        acting(service_user, lambda t=target: deliver(site, source, t), groups=groups, umask=umask)
        for path, mode in (("a", 0o2750), ("a/b", 0o640), (".dropslot/manifests", 0o2750)):
            seen = (Path(target.url) / path).stat()
            assert (seen.st_gid, stat.S_IMODE(seen.st_mode)) == (gid, mode)


@pytest.mark.parametrize("files", [{"single": b"1"}, {"a/b": b"1", "c": b"2"}])
@pytest.mark.parametrize("prepared", [True, False])
def test_a_group_of_which_the_service_is_no_member_is_said_before_anything_is_visible(
    open_folder: Path, service_user: Person, files: dict[str, bytes], prepared: bool
) -> None:
    """With this umask the mode has to be set, and the kernel then drops the setgid bit."""
    source = make(open_folder / "arrival", files)
    site, gid = _study_folder(open_folder, service_user, 0o2750 if prepared else 0o750)
    if not prepared:
        os.chown(site.root, service_user.uid, service_user.gid)
    target = site.target("", RULES)
    with pytest.raises(DestinationUnready, match="not a member of games"):
        acting(service_user, lambda: deliver(site, source, target), umask=0o077)
    assert site.files() == {}
    acting(service_user, lambda: deliver(site, source, target, epoch=2), groups=[gid], umask=0o077)
    for path in files:
        assert stat.S_IMODE((site.root / path).stat().st_mode) == 0o640
        assert (site.root / path).stat().st_gid == gid


@pytest.mark.parametrize("closed", ["sub", "sub/deep", ".dropslot/manifests", ".dropslot"])
@pytest.mark.parametrize("naming", ["rename", "link"])
def test_a_folder_of_somebody_else_in_the_target_is_said_before_anything_is_visible(
    open_folder: Path, service_user: Person, monkeypatch: pytest.MonkeyPatch, closed: str, naming: str
) -> None:
    source = make(open_folder / "arrival", {"a.txt": b"1", "sub/b": b"2", "sub/deep/new/c": b"3"})
    out = open_folder / "out"
    (out / closed).mkdir(parents=True)
    for path in (out, *(out / part for part in Path(closed).parents)):
        service_user.owns(path)
    if closed == ".dropslot":
        (out / closed / "stage").mkdir(mode=0o700)
        service_user.owns(out / closed / "stage")
    if naming == "link":
        monkeypatch.setattr(filesystems, "_refuses_and_renames", lambda *_: False)
    site = LocalSite(out, Local())
    with pytest.raises(DestinationUnready, match="Permission denied"):
        acting(service_user, lambda: deliver(site, source, site.target("")))
    assert site.files() == {}
    service_user.owns(out / closed)
    acting(service_user, lambda: deliver(site, source, site.target(""), epoch=2))
    assert len(site.files()) == 3


def test_default_acl_of_the_target_is_inherited(site: LocalSite, arrival: Path) -> None:
    subprocess.run(["setfacl", "-d", "-m", "g:games:r-X", site.root], check=True)
    deliver(site, arrival, site.target())
    shown = subprocess.run(
        ["getfacl", "-c", site.root / "study/raw/sub/b.nii.gz"], check=True, capture_output=True, text=True
    )
    assert "group:games:r-" in shown.stdout
    assert "mask::r" in shown.stdout


def test_no_right_to_write_is_said(open_folder: Path, service_user: Person) -> None:
    source = make(open_folder / "arrival", {"a": b"1"})
    (open_folder / "out").mkdir()
    site = LocalSite(open_folder / "out", Local())
    for call in (lambda: site.destination.check(site.target()), lambda: deliver(site, source, site.target())):
        with pytest.raises(DestinationUnready, match="Permission denied"):
            acting(service_user, call)


def test_twins_only_where_the_file_system_folds(site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a/x", "A/y", "caf\u00e9", "cafe\u0301", "plain"]
    assert site.destination.twins(site.target(), names) == []
    assert os.listdir(site.root) == []
    with monkeypatch.context() as patch:  # what vfat, exFAT, APFS or a casefold folder would say
        patch.setattr(folder_probe, "folds_names", lambda _: (True, False))
        assert site.destination.twins(site.target(), names) == [("a", "A")]
        patch.setattr(folder_probe, "folds_names", lambda _: (False, True))
        assert site.destination.twins(site.target(), names) == [("caf\u00e9", "cafe\u0301")]
        patch.setattr(folder_probe, "folds_names", lambda _: (True, True))
        assert (
            len(site.destination.twins(site.target(), ["stra\u00dfe", "STRASSE", "e\u0301", "\u00c9"])) == 2
        )


def test_a_file_system_with_neither_operation_is_unsupported(
    site: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystems, "_refuses_and_renames", lambda *_: False)
    monkeypatch.setattr(filesystems, "_refuses_and_links", lambda *_: False)
    with pytest.raises(Unsupported, match="overwritten"):
        site.destination.check(site.target())
    assert os.listdir(site.root) == []


def test_trial_rename_tells_why_a_claim_would_fail(mounts: Mounts) -> None:
    one, two = mounts.tmpfs(), mounts.tmpfs()
    reason = folder_probe.rename_trial(one, two)
    assert reason is not None
    assert "different file systems" in reason
    assert os.listdir(one) == os.listdir(two) == []
    (one / "in").mkdir()
    assert folder_probe.rename_trial(one / "in", one) is None


def test_a_name_of_our_own_inode_is_ours(site: LocalSite, tmp_path: Path) -> None:
    """link(2) whose answer was lost: EEXIST on the very same file."""
    (tmp_path / "s").write_bytes(b"1")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        os.link(tmp_path / "s", tmp_path / "t")
        for naming in Naming:
            assert publishing.give_name(naming, fd, "s", fd, "t")
        (tmp_path / "u").write_bytes(b"1")
        for naming in Naming:
            assert not publishing.give_name(naming, fd, "s", fd, "u")
    finally:
        os.close(fd)


def test_planned_names_cannot_leave_the_target(site: LocalSite, arrival: Path) -> None:
    (site.root / "study/raw").mkdir(parents=True)
    with site.destination.open(site.target(), ID, 1, "arrival") as drop:
        plan = stage(drop, arrival)
        for bad in ("../x", "..", "a/../../x", "/etc/x", ""):
            with pytest.raises((ValueError, DestinationUnready)):
                drop.publish([Planned(plan[0].path, bad, plan[0].sha256)])
        drop.clean()
    assert site.files() == {}
