# mypy: disable-error-code="func-returns-value"
"""Bags: the verdict of the `bagit` package, and where dropslot is stricter on purpose."""

from __future__ import annotations

import hashlib
import logging
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from bags import faults_of, make, reference_accepts
from dropslot.checks.bag import Required
from dropslot.contents import bag_manifests as bag

Damage = Callable[[Path], object]
ALGORITHMS = [["md5"], ["sha1"], ["sha256"], ["sha512"], ["md5", "sha1", "sha256", "sha512"]]


@pytest.fixture(autouse=True)
def quiet_reference(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="bagit")


@pytest.mark.parametrize("algorithms", ALGORITHMS)
def test_a_bag_made_by_the_reference_is_accepted(tmp_path: Path, algorithms: list[str]) -> None:
    folder = make(tmp_path / "bag", *algorithms)
    assert reference_accepts(folder)
    assert faults_of(folder) == []


def rewrite(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")
        reseal(folder, name)

    return damage


def append(name: str, line: str) -> Damage:
    def damage(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(line)
        reseal(folder, name)

    return damage


def reseal(folder: Path, name: str) -> None:
    """Make the tag manifest right again, so that the damage itself must be seen."""
    tags = folder / "tagmanifest-sha256.txt"
    if name != tags.name and tags.exists():
        lines = [line for line in tags.read_text("utf-8").splitlines() if line.split(" ", 1)[1] != name]
        if (folder / name).exists():
            lines.append(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()} {name}")
        tags.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def both(*damages: Damage) -> Damage:
    return lambda folder: [damage(folder) for damage in damages]


def write(name: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        reseal(folder, name)

    return damage


def remove(name: str) -> Damage:
    return lambda folder: ((folder / name).unlink(), reseal(folder, name))


DIGEST = hashlib.sha256(b"alpha").hexdigest()
MANIFEST = "manifest-sha256.txt"
# The reference refuses these too.
DAMAGED: dict[str, Damage] = {
    "payload file changed": write("data/a.txt", b"ALPHA"),
    "payload file grown": write("data/a.txt", b"alphaalpha"),
    "payload file missing": remove("data/a.txt"),
    "payload file extra": write("data/new.txt", b"new"),
    "payload folder gone": lambda folder: shutil.rmtree(folder / "data"),
    "entry missing": rewrite(MANIFEST, f"{DIGEST}  data/a.txt\n", ""),
    "entry extra": append(MANIFEST, f"{DIGEST}  data/none.txt\n"),
    "digest changed": rewrite(MANIFEST, DIGEST[:8], "00000000"),
    "digest cut": rewrite(MANIFEST, DIGEST, DIGEST[:40]),
    "entry twice with two digests": append(MANIFEST, f"{'0' * 64}  data/a.txt\n"),
    "entry escapes with dots": append(MANIFEST, f"{DIGEST}  ../outside.txt\n"),
    "entry escapes within data": append(MANIFEST, f"{DIGEST}  data/../../outside.txt\n"),
    "entry is absolute": append(MANIFEST, f"{DIGEST}  /etc/passwd\n"),
    "entry begins with tilde": append(MANIFEST, f"{DIGEST}  ~/x\n"),
    "entry has a backslash": append(MANIFEST, f"{DIGEST}  data\\a.txt\n"),
    "entry has a line end": append(MANIFEST, f"{DIGEST}  data/x%0Ay\n"),
    "manifest empty": write(MANIFEST, b""),
    "manifest missing": remove(MANIFEST),
    "manifest is no UTF-8": write(MANIFEST, b"\xff\xfe\xff" * 9),
    "manifest in other letter case": rewrite(MANIFEST, "data/a.txt", "data/A.txt"),
    "bagit.txt empty": write("bagit.txt", b""),
    "bagit.txt without encoding": write("bagit.txt", b"BagIt-Version: 0.97\n"),
    "bagit.txt with a byte order mark": write(
        "bagit.txt", b"\xef\xbb\xbfBagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"
    ),
    "bagit.txt of an unknown encoding": rewrite("bagit.txt", "UTF-8", "EBCDIC-NONE"),
    "bagit.txt of version 9.9": rewrite("bagit.txt", "0.97", "9.9"),
    "bagit.txt missing": remove("bagit.txt"),
    "Payload-Oxum wrong": rewrite("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: 1"),
    "Payload-Oxum malformed": rewrite("bag-info.txt", "Payload-Oxum: ", "Payload-Oxum: x"),
    "bag-info changed": lambda folder: (folder / "bag-info.txt").write_text("Contact-Name: Eve\n"),
    "bag-info without a colon": append("bag-info.txt", "no label here\n"),
    "tag file missing": lambda folder: (folder / "bag-info.txt").unlink(),
    "tag manifest's digest changed": rewrite("tagmanifest-sha256.txt", "\n", "0\n"),
}
# What the reference skips, tolerates, or lets Unicode make equal.
STRICTER: dict[str, Damage] = {
    "line without a path": append(MANIFEST, f"{DIGEST}\n"),
    "comment": append(MANIFEST, "# all is well\n"),
    "blank before the digest": rewrite(MANIFEST, DIGEST, f" {DIGEST}"),
    "path with a detour": rewrite(MANIFEST, "data/a.txt", "data/sub/../a.txt"),
    "byte order mark inside": rewrite(MANIFEST, "  data/a.txt", "  \ufeffdata/a.txt"),
    "Payload-Oxum twice": append("bag-info.txt", "Payload-Oxum: 1.1\n"),
    "bagit.txt with a third line": append("bagit.txt", "More: 1\n"),
    "line that md5sum escaped": rewrite(MANIFEST, DIGEST, f"\\{DIGEST}"),
    "tag manifest lists payload": append("tagmanifest-sha256.txt", f"{DIGEST} data/a.txt\n"),
    "file that no manifest lists": both(write("manifest-md5.txt", b""), write("data/new.txt", b"new")),
    "1.0 with a second manifest that lists less": both(
        rewrite("bagit.txt", "0.97", "1.0"), write("manifest-md5.txt", b"")
    ),
    "1.0 with an entry twice": both(
        rewrite("bagit.txt", "0.97", "1.0"), append(MANIFEST, f"{DIGEST}  data/a.txt\n")
    ),
    "entry twice, once with a dot, with two digests": append(MANIFEST, f"{'0' * 64}  ./data/a.txt\n"),
    "second manifest in the same algorithm": lambda folder: shutil.copy(
        folder / MANIFEST, folder / "manifest-SHA256.txt"
    ),
    "1.0 without the manifest in the tag manifest": both(
        rewrite("bagit.txt", "0.97", "1.0"),
        lambda folder: (folder / "tagmanifest-sha256.txt").write_text(
            f"{hashlib.sha256((folder / 'bagit.txt').read_bytes()).hexdigest()} bagit.txt\n"
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_bag_is_refused_as_the_reference_refuses_it(tmp_path: Path, damage: Damage) -> None:
    folder = make(tmp_path / "bag")
    damage(folder)
    assert not reference_accepts(folder)
    faults = faults_of(folder)
    assert faults and all(isinstance(fault, str) and fault.isprintable() for fault in faults)


@pytest.mark.parametrize("damage", STRICTER.values(), ids=STRICTER.keys())
def test_what_the_reference_lets_pass_is_refused_too(tmp_path: Path, damage: Damage) -> None:
    folder = make(tmp_path / "bag")
    damage(folder)
    assert faults_of(folder)


ALLOWED: dict[str, Damage] = {
    "digests in capitals": rewrite(MANIFEST, DIGEST, DIGEST.upper()),
    "binary mark": rewrite(MANIFEST, "  data/a.txt", " *data/a.txt"),
    "tab": rewrite(MANIFEST, "  data/a.txt", "\tdata/a.txt"),
    "path with a dot inside": rewrite(MANIFEST, "data/a.txt", "data/./a.txt"),
    "path with two dots before it": rewrite(MANIFEST, "data/a.txt", "././data/a.txt"),
    "path with two slashes": rewrite(MANIFEST, "data/a.txt", "data//a.txt"),
    "CRLF": rewrite(MANIFEST, "\n", "\r\n"),
    "empty line": append(MANIFEST, "\n"),
    "no line end": lambda folder: (
        (folder / MANIFEST).write_text((folder / MANIFEST).read_text("utf-8").rstrip("\n"), "utf-8"),
        reseal(folder, MANIFEST),
    ),
    "no tag manifest": lambda folder: (folder / "tagmanifest-sha256.txt").unlink(),
    "unlisted tag file": write("readme.txt", b"hello"),
    "manifest in an unknown algorithm besides": write("manifest-crc32.txt", b"whatever"),
    "path with a dot before it": rewrite(MANIFEST, "data/a.txt", "./data/a.txt"),
    "all paths as find and md5sum write them": rewrite(MANIFEST, "  data/", " *./data/"),
    "byte order mark": lambda folder: (
        (folder / MANIFEST).write_bytes(b"\xef\xbb\xbf" + (folder / MANIFEST).read_bytes()),
        reseal(folder, MANIFEST),
    ),
    "entry twice in a draft": append(MANIFEST, f"{DIGEST}  data/a.txt\n"),
    "second manifest that lists less in a draft": write("manifest-md5.txt", b""),
    "other Unicode form": rewrite(MANIFEST, "é", unicodedata.normalize("NFD", "é")),
    "fetch.txt of what is there": write("fetch.txt", b"https://example.org/a.txt 5 data/a.txt\n"),
    "fetch.txt without a length": write("fetch.txt", b"ftp://example.org/a\t-\t./data/a.txt\r\n"),
    "fetch.txt that is empty": write("fetch.txt", b""),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_the_format_allows_is_accepted(tmp_path: Path, change: Damage) -> None:
    folder = make(tmp_path / "bag")
    change(folder)
    assert faults_of(folder) == []


def test_version_1_0_decodes_the_percent_sign_and_the_drafts_do_not(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    assert faults_of(folder) == []
    rewrite(MANIFEST, "100%.txt", "100%25.txt")(folder)
    assert any("100%25.txt" in fault for fault in faults_of(folder))
    rewrite("bagit.txt", "0.97", "1.0")(folder)
    assert faults_of(folder) == []


FETCHED: dict[str, bytes] = {
    "is not there yet": b"https://example.org/b.txt 5 data/b.txt\n",
    "is not a payload file": b"https://example.org/a.txt 5 bag-info.txt\n",
    "leaves the bag": b"https://example.org/a.txt 5 ../../a.txt\n",
    "leaves data": b"https://example.org/a.txt 5 data/../../a.txt\n",
    "is absolute": b"https://example.org/a.txt 5 /etc/passwd\n",
    "begins with a tilde": b"https://example.org/a.txt 5 ~root/a.txt\n",
    "has a drive letter": b"https://example.org/a.txt 5 C:/a.txt\n",
    "has a backslash": b"https://example.org/a.txt 5 data\\a.txt\n",
    "has no URL": b"5 data/a.txt\n",
    "has no length": b"https://example.org/a.txt data/a.txt\n",
    "has a length in words": b"https://example.org/a.txt five data/a.txt\n",
    "is no text": b"\xff\xfe\xff",
}


@pytest.mark.parametrize("line", FETCHED.values(), ids=FETCHED.keys())
def test_a_bag_is_refused_when_what_it_fetches(tmp_path: Path, line: bytes) -> None:
    folder = make(tmp_path / "bag")
    write("fetch.txt", line)(folder)
    faults = faults_of(folder)
    assert len(faults) == 1 and faults[0].startswith("fetch.txt: ")


def test_what_is_still_to_be_fetched_is_named_with_what_to_do(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    (folder / "data/a.txt").unlink()
    (folder / "bag-info.txt").unlink()
    (folder / "tagmanifest-sha256.txt").unlink()
    write("fetch.txt", b"https://example.org/a.txt 5 data/a.txt\n")(folder)
    assert faults_of(folder) == [
        "fetch.txt: data/a.txt is still to be fetched; dropslot does not fetch: send the whole bag",
        f"{MANIFEST}: it lists data/a.txt, which is missing",
    ]


def test_both_unicode_forms_there_need_an_entry_each(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    write("data/sub/süb/" + unicodedata.normalize("NFD", "é"), b"e")(folder)
    assert any("does not list it" in fault for fault in faults_of(folder))


def test_a_bag_in_unknown_algorithms_only_is_refused_and_they_are_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    (folder / MANIFEST).rename(folder / "manifest-crc32.txt")
    assert any("manifest-crc32.txt" in fault and "sha256" in fault for fault in faults_of(folder))


def test_a_bag_with_md5_alone_has_sha256_taken_besides(tmp_path: Path) -> None:
    from bags import listing_of

    found = bag.find(listing_of(make(tmp_path / "bag", "md5")))
    assert found is not None and found.algorithms == ("md5", "sha256")


def test_near_misses_say_what_is_there_instead(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    rewrite(MANIFEST, "data/a.txt", "data/A.TXT")(folder)
    faults = "\n".join(faults_of(folder))
    assert "data/a.txt is there, the same name with other letter case" in faults


def test_a_million_bad_lines_are_counted_but_not_kept(tmp_path: Path) -> None:
    folder = make(tmp_path / "bag")
    append(MANIFEST, "x\n" * 200_000)(folder)
    faults = faults_of(folder)
    assert len(faults) == 1001 and faults[-1].endswith("199,000 more faults")


def test_an_arrival_without_bagit_txt_is_no_bag_and_may_be_required_to_be_one(tmp_path: Path) -> None:
    from dropslot.checks import StagedArrival
    from dropslot.files.listing import Listing

    assert bag.find(Listing(is_folder=True)) is None
    assert bag.find(Listing(is_folder=False)) is None
    reasons = list(Required("required").check(StagedArrival("x", {}, [])))
    assert reasons == ["x: it is not a bag: it has no bagit.txt"]
    assert list(Required("required").check(StagedArrival("x", {}, [], is_bag=True))) == []
