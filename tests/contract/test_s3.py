"""The contract of destinations, kept by buckets of a real object store (SeaweedFS); and a store that does not keep what
the contract needs (rclone's), which is refused."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from urllib3 import make_headers

from apache import Apache
from certificates import make_certificate
from contract.destination_contract import ID, StoreContract, deliver, make, plan_of, source_of, stage
from dropslot.config.servers.object_stores import ObjectLock
from dropslot.contents.base import Source
from dropslot.core.errors import (
    BadOption,
    DestinationUnready,
    DropslotError,
    Refused,
    SourceChanged,
    TakenOver,
    Unsupported,
)
from dropslot.destinations.base import DIGEST_COMPARED, Rules, Target
from dropslot.destinations.s3 import in_parts
from dropslot.destinations.s3.destination import S3
from dropslot.destinations.s3.in_parts import PART_BYTES
from dropslot.destinations.s3.sdk_client import Proxy, proxy_for
from dropslot.destinations.s3.store_access import Access
from dropslot.destinations.shared import Part
from dropslot.files.listing import Listing
from stores import BUCKET, ObjectStore, RcloneStore
from waiting import wait_until

pytestmark = [pytest.mark.usefixtures("store_secrets"), pytest.mark.xdist_group("stores")]


@dataclass
class S3Site:
    """A prefix of a bucket, looked at by another client; what is hidden is also what is left in the spool."""

    store: ObjectStore
    destination: S3
    top: str

    def target(self, inner: str = "study/raw", rules: Rules | None = None) -> Target:
        fixed = f"s3://{BUCKET}/{self.top}"
        return Target(f"{fixed}/{inner}" if inner else fixed, fixed, rules=rules or Rules())

    def _names(self, *, hidden: bool) -> list[str]:
        names = [key.removeprefix(f"{self.top}/") for key in self.store.list_keys(f"{self.top}/")]
        return [name for name in names if (".dropslot" in name.split("/")) == hidden]

    def files(self) -> dict[str, bytes]:
        return {name: self.store.get(f"{self.top}/{name}") for name in self._names(hidden=False)}

    def hidden(self) -> list[str]:
        walked = os.walk(self.destination.spool)
        spooled = [os.path.join(top, name) for top, folders, names in walked for name in (*names, *folders)]
        return [*self._names(hidden=True), *spooled]

    def put(self, path: str, data: bytes) -> None:
        self.store.put(f"{self.top}/{path}", data)

    def folders(self) -> set[str]:
        return set()


def access(store: ObjectStore, **more: str) -> Access:
    return Access(BUCKET, **(store.keys | more))


def site_at(store: ObjectStore, spool: Path) -> S3Site:
    return S3Site(store, S3(access(store), spool), f"site-{secrets.token_hex(6)}")


@pytest.fixture
def site(tmp_path: Path, shared_store: ObjectStore) -> S3Site:
    return site_at(shared_store, tmp_path / "spool")


class TestS3(StoreContract):
    """By conditional requests."""


LARGE = os.urandom(2 * PART_BYTES + 12_345)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return make(tmp_path / "visit", {"scan.raw": LARGE, "note.txt": b"small"})


def test_a_large_item_is_sent_in_parts_and_never_replaces(site: S3Site, large: Path) -> None:
    assert deliver(site, large, site.target()) == []
    assert site.files()["study/raw/scan.raw"] == LARGE
    site.put("other/raw/scan.raw", b"there before")
    with site.destination.open(site.target("other/raw"), ID, 1, "visit") as drop:
        plan = stage(drop, large)
        taken = drop.publish(plan)
        assert [planned.path for planned in taken] == ["scan.raw"]
        assert drop.publish([taken[0]._replace(stored_as="scan.v2.raw")]) == []
        drop.clean()
    assert site.files()["other/raw/scan.raw"] == b"there before"
    assert site.files()["other/raw/scan.v2.raw"] == LARGE
    assert site.store.uploads(site.top) == []


def test_a_name_that_is_taken_while_parts_are_sent(site: S3Site, large: Path) -> None:
    with site.destination.open(site.target(), ID, 1, "visit") as drop:
        plan = stage(drop, large)
        assert site.store.uploads(site.top) == [f"{site.top}/study/raw/scan.raw"]
        assert site.files() == {}
        site.put("study/raw/scan.raw", b"faster")
        assert [planned.path for planned in drop.publish(plan)] == ["scan.raw"]
        drop.clean()
    assert site.files()["study/raw/scan.raw"] == b"faster"
    assert site.store.uploads(site.top) == []


def test_parts_that_are_there_are_not_sent_again(
    site: S3Site, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a worker was killed: nothing of it was cleaned up."""
    killed = site.destination.open(site.target(), ID, 1, "visit")
    stage(killed, large)
    killed.close()
    sent: list[int] = []
    store = site.destination.store
    send = store.send_part

    def counted(key: str, upload: str, number: int, data: memoryview, sha256: bytes) -> str:
        sent.append(number)
        return send(key, upload, number, data, sha256)

    monkeypatch.setattr(store, "send_part", counted)
    changed = LARGE[:PART_BYTES] + b"!" + LARGE[PART_BYTES + 1 :]
    (large / "scan.raw").write_bytes(changed)
    with site.destination.open(site.target(), ID, 2, "visit") as drop:
        drop.discard_older()
        assert drop.publish(stage(drop, large)) == []
        drop.clean()
    assert sent == [2]
    assert site.files()["study/raw/scan.raw"] == changed
    assert site.store.uploads(site.top) == []


class LateNews(Future[Any]):
    """A part whose end is seen only when it is asked for the second time."""

    was_asked = False

    def done(self) -> bool:
        asked, self.was_asked = self.was_asked, True
        return asked and super().done()


class InTurn(Executor):
    """Sends each part at once."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> LateNews:
        sent = LateNews()
        try:
            sent.set_result(fn(*args, **more))
        except DestinationUnready as error:
            sent.set_exception(error)
        return sent


def test_a_part_that_fails_at_any_moment_is_never_missed(
    site: S3Site, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = site.destination.store
    send = store.send_part

    def failing(key: str, upload: str, number: int, data: memoryview, sha256: bytes) -> str:
        if number == 1:
            raise DestinationUnready("cut")
        return send(key, upload, number, data, sha256)

    with monkeypatch.context() as patch, site.destination.open(site.target(), ID, 1, "visit") as drop:
        patch.setattr(in_parts, "ThreadPoolExecutor", InTurn)
        patch.setattr(store, "send_part", failing)
        with pytest.raises(DestinationUnready, match="cut"):
            stage(drop, large)
    assert site.files() == {}
    one = in_parts.InParts(store, f"{site.top}/one", len(LARGE), {})
    one.send(io.BytesIO(LARGE[:PART_BYTES]).readinto, [])
    with pytest.raises(RuntimeError, match="not all"):
        one.complete()
    one.abort()


def test_parts_of_what_is_not_delivered_are_removed(site: S3Site, large: Path) -> None:
    with site.destination.open(site.target(), ID, 1, "visit") as drop:
        stage(drop, large)
        assert site.store.uploads(site.top)
        drop.clean()
    assert site.store.uploads(site.top) == site.hidden() == []


def test_what_was_begun_before_is_continued_or_removed(
    site: S3Site, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("study/raw/scan.raw", "study/raw/scan.raw", "other"):
        site.store.client().create_multipart_upload(Bucket=BUCKET, Key=f"{site.top}/{name}")
    assert deliver(site, large, site.target()) == []
    assert site.store.uploads(site.top) == [f"{site.top}/other"]
    monkeypatch.setattr(in_parts, "ABANDONED", in_parts.ABANDONED * 0)
    site.destination.check(site.target())
    assert site.store.uploads(site.top) == []


def test_bytes_that_changed_since_they_were_staged_are_not_sent(site: S3Site, large: Path) -> None:
    for name, data in (("note.txt", b"SMALL"), ("scan.raw", bytes(len(LARGE)))):
        site.put("study/raw/scan.raw", b"so that parts are sent later")
        with site.destination.open(site.target(), ID, 1, "visit") as drop:
            plan = [planned._replace(stored_as=f"{planned.path}.v2") for planned in stage(drop, large)]
            kept = (large / name).read_bytes()
            (large / name).write_bytes(data)
            with pytest.raises(SourceChanged):
                drop.publish([planned for planned in plan if planned.path == name])
            (large / name).write_bytes(kept)
            drop.clean()
    assert site.files().keys() == {"study/raw/scan.raw"}
    assert site.store.uploads(site.top) == []


def test_who_was_taken_over_by_another_machine_sends_nothing(site: S3Site, large: Path) -> None:
    """There is no common spool; but the new worker has renamed the folder of the arrival."""
    with site.destination.open(site.target(), ID, 1, "visit") as drop:
        plan = stage(drop, large)
        large.rename(large.with_name("taken"))
        large.mkdir()
        with pytest.raises(TakenOver):
            drop.publish(plan)
    assert site.files() == {}


def test_who_was_taken_over_leaves_its_parts_to_the_new_worker(
    site: S3Site, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept longer than its lease; meanwhile the other one goes on with what it has sent."""
    slept = site.destination.open(site.target(), ID, 1, "visit")
    stage(slept, large)
    elsewhere = site_at(site.store, tmp_path / "spool-of-another-machine")
    elsewhere.top = site.top
    slept_there = elsewhere.destination.open(site.target(), ID, 1, "visit")
    stage(slept_there, large)
    moved = large.rename(large.with_name("taken"))
    with site.destination.open(site.target(), ID, 2, "visit") as drop:
        drop.discard_older()
        plan = stage(drop, moved)
        slept.clean()
        slept_there.clean()

        def never(*_: Any) -> str:
            raise AssertionError("a part is sent again")

        monkeypatch.setattr(site.destination.store, "send_part", never)
        assert drop.publish(plan) == []
        drop.clean()
    assert site.files()["study/raw/scan.raw"] == LARGE
    assert site.store.uploads(site.top) == site.hidden() == []


class Sharing:
    """An arrival with two large items, whose holder and helper are on machines of their own: they have no common
    spool."""

    def __init__(self, site: S3Site, tmp_path: Path) -> None:
        self.site, self.content = site, {"a.raw": LARGE, "b.raw": LARGE[::-1], "note.txt": b"small"}
        self.arrival = make(tmp_path / "visit", self.content)
        self.source = source_of(self.arrival)
        assert [item.path for item in self.source.listing.items] == sorted(self.content)
        there = site_at(site.store, tmp_path / "spool-of-another-machine")
        self.drop = site.destination.open(site.target(), ID, 1, "visit")
        self.helper = there.destination.open(site.target(), ID, 1, "visit")
        self.drop.begin(self.source, (), "")
        some = Listing(is_folder=True, items=self.source.listing.items[1:])
        self.helper.join(Source(self.arrival, some), (), "", self.drop.prefix)

    def publish(self, ours: Part, theirs: Part) -> None:
        self.drop.adopt(theirs)
        parts = [ours, theirs]
        assert self.drop.publish(plan_of(self.drop.end(parts))) == []
        self.drop.clean()
        assert self.site.files() == {f"study/raw/{path}": data for path, data in self.content.items()}
        assert self.site.store.uploads(self.site.top) == self.site.hidden() == []


@pytest.fixture
def sharing(site: S3Site, tmp_path: Path) -> Sharing:
    return Sharing(site, tmp_path)


def never_sent(*_: Any) -> str:
    raise AssertionError("a part is sent again")


def test_two_workers_send_the_large_items_of_one_arrival(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the helper has sent is completed by the holder, which sends nothing of it."""
    drop, helper = sharing.drop, sharing.helper
    assert drop.gains
    ours = drop.stage_items(0, 1)
    theirs = helper.stage_items(0, 2)
    helper.close()
    for look in ("send_part", "parts"):  # what was reported is all it needs
        monkeypatch.setattr(sharing.site.destination.store, look, never_sent)
    sharing.publish(ours, theirs)


def test_what_a_helper_has_sent_before_it_was_killed_is_not_sent_again(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, helper = sharing.drop, sharing.helper
    ours = drop.stage_items(0, 1)
    helper.stage_items(0, 1)
    helper.close()  # it could not report
    monkeypatch.setattr(sharing.site.destination.store, "send_part", never_sent)
    sharing.publish(ours, drop.stage_items(1, 3, again=True))


def test_parts_of_a_helper_are_removed_if_nothing_is_delivered(sharing: Sharing) -> None:
    drop, helper, site = sharing.drop, sharing.helper, sharing.site
    drop.stage_items(0, 1)
    drop.adopt(helper.stage_items(0, 2))
    assert len(site.store.uploads(site.top)) == 2
    helper.close()
    drop.clean()
    assert site.store.uploads(site.top) == site.hidden() == []


def test_parts_are_kept_for_the_next_attempt_if_a_helper_was_lost(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop, site = sharing.drop, sharing.site
    drop.stage_items(0, 2)
    drop.keep_sent()
    drop.clean()
    assert len(site.store.uploads(site.top)) == 2
    monkeypatch.setattr(site.destination.store, "send_part", never_sent)
    assert deliver(site, sharing.arrival, site.target(), epoch=2) == []
    assert site.store.uploads(site.top) == []


@pytest.mark.parametrize("other", [{"endpoint": "http://127.0.0.1:1"}, {"storage_class": "COLD"}])
def test_a_helper_with_another_store_or_another_way_of_keeping_stages_nothing(
    sharing: Sharing, tmp_path: Path, other: dict[str, str]
) -> None:
    site = sharing.site
    destination = S3(access(site.store, **other), tmp_path / "spool")
    with destination.open(site.target(), ID, 1, "visit") as helper, pytest.raises(DestinationUnready):
        helper.join(sharing.source, (), "", sharing.drop.prefix)
    sharing.helper.close()
    sharing.drop.clean()


def test_a_helper_sends_nothing_after_a_takeover(sharing: Sharing) -> None:
    """Whoever takes the arrival over renames its folder."""
    sharing.arrival.rename(sharing.arrival.with_name("taken"))
    with pytest.raises(DropslotError):
        sharing.helper.stage_items(0, 2)
    sharing.arrival.mkdir()
    with pytest.raises(TakenOver):
        sharing.helper.stage_items(0, 2)
    assert sharing.site.store.uploads(sharing.site.top) == []
    sharing.helper.close()
    sharing.drop.close()


def test_only_large_items_are_shared(site: S3Site, arrival: Path) -> None:
    with site.destination.open(site.target(), ID, 1, "visit") as drop:
        drop.begin(source_of(arrival), (), "")
        assert not drop.gains
        drop.clean()


def test_what_is_still_being_sent_is_not_abandoned_however_long_ago_it_was_begun(
    site: S3Site, large: Path
) -> None:
    """A terabyte over a slow line takes longer than a week."""
    killed = site.destination.open(site.target(), ID, 1, "visit")
    stage(killed, large)
    killed.close()
    store, long_ago = site.destination.store, datetime.now(UTC) - 2 * in_parts.ABANDONED
    begun = [each._replace(at=long_ago) for each in in_parts.begun_below(store, site.top)]
    store.begin(f"{site.top}/without-parts", {})
    begun += [each._replace(at=long_ago) for each in in_parts.begun_below(store, f"{site.top}/without-parts")]
    in_parts.remove_abandoned(store, begun)
    assert site.store.uploads(site.top) == [f"{site.top}/study/raw/scan.raw"]


def test_memory_is_bounded_however_large_an_object_is() -> None:
    for size_bytes in (PART_BYTES + 1, 1 << 40, 5 << 40):
        parts = in_parts.at_once(size_bytes)
        assert parts >= 1
        size = in_parts.part_bytes(size_bytes)
        assert (parts + 1) * size <= max(512 << 20, 2 * size)
    assert in_parts.at_once(1 << 30) > 4


def test_times_are_kept_as_other_programs_keep_them(site: S3Site, arrival: Path) -> None:
    os.utime(arrival / "a.txt", ns=(0, 1_700_000_000_123_456_789))
    deliver(site, arrival, site.target())
    found = site.store.client().head_object(Bucket=BUCKET, Key=f"{site.top}/study/raw/a.txt")
    assert found["Metadata"] == {"mtime": "1700000000.123456789"}


def test_names_of_all_kinds_are_keys(site: S3Site, tmp_path: Path) -> None:
    names = ("a b+c.txt", "50%25.txt", "ü/é\u0301.txt", "a?b#c&d=e.txt", "~x'(1)!*.txt")
    source = make(tmp_path / "odd", {name: name.encode() for name in names})
    assert deliver(site, source, site.target()) == []
    assert site.files() == {f"study/raw/{name}": name.encode() for name in names}
    assert {*site.destination.listing(site.target(), "ü")} == {"é\u0301.txt"}


def test_a_key_that_is_too_long_is_refused_before_anything_is_sent(site: S3Site, tmp_path: Path) -> None:
    deep = "/".join(["d" * 250] * 4) + "/name"
    source = make(tmp_path / "deep", {deep: b"1"})
    with site.destination.open(site.target(), ID, 1, "deep") as drop:
        staged = drop.stage(source_of(source))
        with pytest.raises(Refused, match="too long"):
            drop.admit(staged)
        drop.clean()


def test_a_store_with_conditions_passes_the_trial_again_and_again(site: S3Site) -> None:
    for _ in range(2):
        destination = S3(site.destination.access, site.destination.spool)
        destination.check(site.target())
        assert DIGEST_COMPARED in destination.proofs
    assert site.hidden() == [".dropslot/trial"]
    assert site.store.uploads(site.top) == []


def test_a_store_that_ignores_conditions_is_refused(careless_store: ObjectStore, tmp_path: Path) -> None:
    site = site_at(careless_store, tmp_path / "spool")
    with pytest.raises(Unsupported, match="If-None-Match"):
        site.destination.check(site.target())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"secret_key": "WRONG_SECRET"}, "secret does not belong"),
        ({"access_key": "WRONG_KEY"}, "does not know the access key"),
        ({"bucket": "nobody-has-made-it"}, "does not exist"),
        ({"endpoint": "http://127.0.0.1:9"}, "no answer"),
    ],
)
def test_what_is_wrong_is_said(
    shared_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    words: str,
) -> None:
    monkeypatch.setenv("WRONG_SECRET", "of-somebody-else")
    monkeypatch.setenv("WRONG_KEY", "of-somebody-else")
    destination = S3(access(shared_store)._replace(**wrong), tmp_path / "spool")
    with pytest.raises(DestinationUnready, match=words):
        destination.check(Target(f"s3://{BUCKET}/x", f"s3://{BUCKET}/x"))


def test_a_certificate_of_an_own_authority_is_trusted_by_ca_alone(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls", "store", address="127.0.0.1")
    store = RcloneStore(tmp_path / "store", certificate)
    store.start()
    try:
        trusting = S3(access(store)._replace(ca=certificate), tmp_path / "spool")
        with pytest.raises(Unsupported):  # it was asked, and ignores conditions
            trusting.check(Target(f"s3://{BUCKET}/x", f"s3://{BUCKET}/x"))
        with pytest.raises(DestinationUnready, match="not trusted"):
            S3(access(store), tmp_path / "spool").check(Target(f"s3://{BUCKET}/x", f"s3://{BUCKET}/x"))
    finally:
        store.stop()


@pytest.fixture
def proxy(make_apache: Callable[..., Apache]) -> Apache:
    """A forward proxy, as hospitals have them."""
    modules = ("proxy", "proxy_http", "proxy_connect")
    return make_apache("ProxyRequests On\nAllowCONNECT 1-65535", modules)


def test_stores_are_reached_through_the_proxy_of_the_environment(
    proxy: Apache, site: S3Site, arrival: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named without `http://`, as many institutions do; not for what NO_PROXY names."""
    assert site.files() == {}  # its other client, which is kept, asks without a proxy
    secret = RcloneStore(tmp_path / "store", make_certificate(tmp_path / "tls", "store", address="127.0.0.1"))
    secret.start()
    try:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")
        assert deliver(site, arrival, site.target()) == []
        with pytest.raises(Unsupported):  # it was asked, and ignores conditions
            S3(access(secret)._replace(ca=secret.certificate), tmp_path / "spool").check(site.target())
    finally:
        secret.stop()
    assert site.files()["study/raw/a.txt"] == (arrival / "a.txt").read_bytes()
    sent, tunnel = f'"PUT {site.store.endpoint}/{BUCKET}/{site.top}/', f'"CONNECT 127.0.0.1:{secret.port} '
    wait_until(
        lambda: all(text in proxy.access_log.read_text() for text in (sent, tunnel)), what="the proxy's log"
    )
    monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "lab.example,127.0.0.1")
    S3(site.destination.access, tmp_path / "spool").check(site.target())


@pytest.mark.parametrize(
    ("named", "proxy"),
    [
        ("http://proxy.lab:3128", Proxy("proxy.lab", 3128, {})),
        ("proxy.lab", Proxy("proxy.lab", 80, {})),
        ("//proxy.lab", Proxy("proxy.lab", 80, {})),
        ("ann:p%40ss@proxy.lab:8080", Proxy("proxy.lab", 8080, make_headers(proxy_basic_auth="ann:p@ss"))),
        ("https://ann:secret@proxy.lab:3129", "HTTPS_PROXY begins with https://"),
        ("socks5://proxy.lab", "HTTPS_PROXY begins with socks5://"),
        ("ann:secret@proxy.lab:http", "HTTPS_PROXY is not an address with a number"),
        ("http://:3128", "HTTPS_PROXY names no host"),
    ],
)
def test_a_proxy_is_understood_or_named_at_the_start(
    named: str, proxy: Proxy | str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    if isinstance(proxy, Proxy):
        assert proxy_for("https://s3.lab") == proxy
        return
    store = Access(BUCKET, "https://s3.lab", access_key="STORE_KEY", secret_key="STORE_SECRET")
    with pytest.raises(BadOption, match=proxy) as refused:
        S3(store, tmp_path / "spool").store.connect()
    assert "secret" not in str(refused.value)


def test_of_many_that_want_one_key_at_once_one_gets_it(site: S3Site) -> None:
    """With the condition that is sent, in the store that the other tests trust."""
    contents = [secrets.token_bytes(50_000) for _ in range(16)]

    def put(data: bytes) -> bool:
        return site.destination.store.put(f"{site.top}/one", data, hashlib.sha256(data).digest(), {})

    with ThreadPoolExecutor(len(contents)) as pool:
        made = list(pool.map(put, contents))
    assert made.count(True) == 1
    assert site.files()["one"] == contents[made.index(True)]


def test_what_is_locked_cannot_be_deleted(shared_store: ObjectStore, tmp_path: Path, arrival: Path) -> None:
    outside, bucket = shared_store.client(), f"locked-{secrets.token_hex(4)}"
    outside.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    lock = ObjectLock(mode="governance", days=2)
    locking = S3(access(shared_store)._replace(bucket=bucket, object_lock=lock), tmp_path / "spool")
    target = Target(f"s3://{bucket}/x", f"s3://{bucket}/x")
    locking.check(target)
    assert deliver(S3Site(shared_store, locking, "x"), arrival, target) == []
    for key in ("x/a.txt", f"x/.dropslot/manifests/{ID}.sha256"):
        found = outside.head_object(Bucket=bucket, Key=key)
        assert found["ObjectLockMode"] == "GOVERNANCE"
        assert found["ObjectLockRetainUntilDate"] > datetime.now(UTC) + timedelta(days=1)
        with pytest.raises(outside.exceptions.ClientError):
            outside.delete_object(Bucket=bucket, Key=key, VersionId=found["VersionId"])
