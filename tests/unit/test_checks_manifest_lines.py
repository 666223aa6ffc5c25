"""Manifests of bags: no input makes a traceback, and no damaged one passes."""

from __future__ import annotations

import hashlib
import io

from hypothesis import assume, example, given
from hypothesis import strategies as st

from dropslot.contents.bag_manifests import Bag
from dropslot.contents.manifest_lines import Entry, Malformed, entries, fault_of_path

CONTENT = {"data/a.txt": b"alpha", "data/b/c.nii": b"gamma", "data/é": b"e"}
DIGESTS = {path: {"sha256": hashlib.sha256(content).hexdigest()} for path, content in CONTENT.items()}
MANIFEST = "".join(f"{digest['sha256']}  {path}\n" for path, digest in DIGESTS.items()).encode()
DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


def faults(manifest: bytes, declaration: bytes = DECLARATION, info: bytes | None = None) -> list[str]:
    files = {"bagit.txt": declaration, "manifest-sha256.txt": manifest}
    if info is not None:
        files["bag-info.txt"] = info
    everything = CONTENT | files
    digests = {path: {"sha256": hashlib.sha256(content).hexdigest()} for path, content in everything.items()}
    bag = Bag(
        {path: len(content) for path, content in everything.items()}, True, {"sha256": "manifest-sha256.txt"}
    )
    return bag.faults(digests, lambda name: io.BytesIO(files[name]))


def says_the_truth(manifest: bytes) -> bool:
    """Whether each line, read as simply as can be, is one of the entries, and none is wanting or double."""
    text = manifest.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    said = [line.split(None, 1) for line in text.split("\n") if line]
    pairs = sorted((_in_place(path.removeprefix("*")), digest.lower()) for digest, path in said)
    return pairs == sorted((path, digest["sha256"]) for path, digest in DIGESTS.items())


def _in_place(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def test_the_true_manifest_passes() -> None:
    assert faults(MANIFEST) == []


@given(st.binary(max_size=300))
def test_no_bytes_make_a_traceback_or_pass_as_a_manifest(junk: bytes) -> None:
    assert faults(junk)


@given(st.integers(0, len(MANIFEST) * 8 - 1))
def test_no_flipped_bit_passes_unless_the_manifest_still_says_the_same(bit: int) -> None:
    damaged = bytearray(MANIFEST)
    damaged[bit // 8] ^= 1 << bit % 8
    if not faults(bytes(damaged)):
        assert says_the_truth(bytes(damaged))


@given(st.integers(0, len(MANIFEST)), st.integers(0, len(MANIFEST)), st.binary(max_size=40))
def test_no_edit_passes_unless_the_manifest_still_says_the_same(start: int, end: int, new: bytes) -> None:
    damaged = MANIFEST[:start] + new + MANIFEST[end:]
    if not faults(damaged):
        assert says_the_truth(damaged)


@given(st.integers(0, len(MANIFEST) - 2))
def test_no_manifest_that_is_cut_short_passes(size: int) -> None:
    assert faults(MANIFEST[:size])


@given(st.binary(max_size=200))
def test_no_bytes_but_the_two_lines_pass_as_bagit_txt(junk: bytes) -> None:
    assume(junk.replace(b"\r", b"").strip(b"\n") != DECLARATION.strip())
    assert faults(MANIFEST, junk)


@given(st.binary(max_size=200))
@example(b"Payload-Oxum: 0.0")
@example(b"Payload-Oxum: \xd9\xa1.1")
def test_no_bytes_make_a_traceback_as_bag_info(junk: bytes) -> None:
    found = faults(MANIFEST, info=junk)
    if b"payload-oxum" in junk.lower() and b"11.3" not in junk:
        assert found


@given(st.text(max_size=60))
def test_no_path_that_leaves_the_bag_is_accepted(path: str) -> None:
    if fault_of_path(path) is None:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not path.startswith("~") and "\\" not in path
        assert not any(ord(character) < 32 for character in path)


@given(st.lists(st.binary(max_size=60), max_size=5), st.sampled_from(["utf-8", "ascii", "latin-1"]))
def test_each_line_becomes_an_entry_or_a_fault(given_lines: list[bytes], encoding: str) -> None:
    found = list(entries(io.BytesIO(b"\n".join(given_lines)), "sha256", encoding, (1, 0)))
    assert all(isinstance(each, Entry | Malformed) for each in found)


def test_an_endless_line_is_a_fault_and_is_not_kept_in_memory() -> None:
    found = list(entries(io.BytesIO(b"a" * 10_000_000), "sha256", "utf-8", (1, 0)))
    assert len(found) == 1 and isinstance(found[0], Malformed)
