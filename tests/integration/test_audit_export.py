"""An exported trail, checked by one file that needs nothing but Python."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import Database
from dropslot.audit.chain import Head
from dropslot.audit.verifying import check_export, export
from trail import give_receipt, grow, tamper

Edit = Callable[[list[str]], list[str]]


@pytest.fixture
def exported(database: Database, tmp_path: Path) -> Path:
    """An export of 12 events and 2 receipts; the keys are beside it."""
    give_receipt(tmp_path, grow(5), 1)
    give_receipt(tmp_path, grow(4), 2)
    grow(3)
    return written(tmp_path)


def written(folder: Path) -> Path:
    file = folder / "trail.jsonl"
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        export.write(stream)
    return file


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The checker as auditors run it: without dropslot, without packages, alone in its folder."""
    alone = Path(str(arguments[0])).parent / "alone"
    alone.mkdir(exist_ok=True)
    script = shutil.copy(check_export.__file__, alone)
    command = [sys.executable, "-I", "-S", str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=alone)


def faults(data: bytes, heads: list[tuple[int, str]] | None = None) -> list[str]:
    checker = check_export.Checker()
    checker.check(check_export.lines_of(io.BytesIO(data)), heads or [])
    assert bool(checker.faults) == bool(checker.found)
    return checker.faults


def test_a_whole_export_is_well(exported: Path) -> None:
    done = run(exported)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("OK: 12 events, 2 receipts, signatures not checked; head 12:")


@pytest.mark.sqlite_only
def test_signatures_are_checked_by_ssh_keygen(exported: Path) -> None:
    allowed = exported.parent / "allowed_signers"
    done = run(exported, "--allowed-signers", allowed)
    assert done.returncode == 0 and "2 signatures" in done.stdout
    lines = exported.read_text("utf-8").splitlines(keepends=True)
    receipts = [number for number, line in enumerate(lines) if line.startswith('{"receipt"')]
    forged = json.loads(lines[receipts[0]])
    forged["receipt"]["body"] = forged["receipt"]["body"].replace('"ann"', '"eve"')
    lines[receipts[0]] = check_export.canonical(forged) + "\n"
    exported.write_text("".join(lines), "utf-8")
    assert run(exported).returncode == 0  # no key, no proof
    done = run(exported, "--allowed-signers", allowed)
    assert done.returncode == 1 and "signature" in done.stdout


@pytest.mark.sqlite_only
def test_signers_that_are_not_there_are_a_fault(exported: Path) -> None:
    assert run(exported, "--allowed-signers", exported.parent / "none").returncode == 1


@pytest.mark.sqlite_only
def test_a_head_that_was_kept_elsewhere_is_compared(exported: Path) -> None:
    head = json.loads(exported.read_text("utf-8").splitlines()[-1])["end"]["head"]
    assert run(exported, "--head", f"{head['seq']}:{head['hash']}").returncode == 0
    done = run(exported, "--head", f"3:{'0' * 64}", "--head", f"99:{'0' * 64}")
    assert (
        done.returncode == 1 and "rewritten" in done.stdout and "end of the chain was removed" in done.stdout
    )


@pytest.mark.parametrize("head", ["x", "3", "3:abc", "-1:" + "0" * 64, ":" + "0" * 64])
@pytest.mark.sqlite_only
def test_a_head_that_is_none_is_wrong_usage(exported: Path, head: str) -> None:
    assert run(exported, f"--head={head}").returncode == 2


def test_an_export_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert run(tmp_path / "none.jsonl").returncode == 1


def moved(lines: list[str], start: int, end: int) -> list[str]:
    return [*lines[:start], lines[end], *lines[start:end], *lines[end + 1 :]]


EDITS: dict[str, Edit] = {
    "empty": lambda _: [],
    "header removed": lambda lines: lines[1:],
    "event removed": lambda lines: [*lines[:4], *lines[5:]],
    "first event removed": lambda lines: [*lines[:1], *lines[2:]],
    "last event removed": lambda lines: [*lines[:12], *lines[13:]],
    "event twice": lambda lines: [*lines[:5], lines[4], *lines[5:]],
    "events swapped": lambda lines: moved(lines, 4, 5),
    "event moved to the end of events": lambda lines: moved(lines, 4, 12),
    "event after the receipts": lambda lines: [*lines[:1], *lines[2:-1], lines[1], lines[-1]],
    "receipt removed": lambda lines: [*lines[:13], *lines[14:]],
    "receipt twice": lambda lines: [*lines[:14], lines[13], *lines[14:]],
    "end removed": lambda lines: lines[:-1],
    "end twice": lambda lines: [*lines, lines[-1]],
    "something after the end": lambda lines: [*lines, lines[1]],
    "blank line": lambda lines: [*lines[:4], "\n", *lines[4:]],
    "cut in the middle of a line": lambda lines: [*lines[:-1], lines[-1][:20]],
    "last newline missing": lambda lines: [*lines[:-1], lines[-1].rstrip("\n")],
    "key twice": lambda lines: [lines[0], lines[1].replace('{"event"', '{"event":{},"event"'), *lines[2:]],
    "blanks": lambda lines: [lines[0], lines[1].replace(",", ", "), *lines[2:]],
    "NaN": lambda lines: [lines[0], lines[1].replace('"size_bytes":0', '"size_bytes":NaN'), *lines[2:]],
    "deep nesting": lambda lines: [lines[0], "[" * 100_000 + "\n", *lines[1:]],
    "seq as a boolean": lambda lines: [lines[0], lines[1].replace('"seq":1', '"seq":true'), *lines[2:]],
    "another format": lambda lines: [lines[0].replace(":1,", ":2,"), *lines[1:]],
    "another kind of line": lambda lines: [*lines[:4], '{"note":"all is well"}\n', *lines[4:]],
    "events counted wrongly": lambda lines: [*lines[:-1], lines[-1].replace('"events":12', '"events":13')],
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.sqlite_only
def test_an_edited_export_is_a_fault(exported: Path, edit: Edit) -> None:
    lines = exported.read_text("utf-8").splitlines(keepends=True)
    assert faults("".join(edit(lines)).encode())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.sqlite_only
def test_no_flipped_bit_passes_but_in_the_version_and_the_signatures(exported: Path, seed: int) -> None:
    data = exported.read_bytes()
    signatures = [line for line in data.splitlines(keepends=True) if line.startswith(b'{"receipt"')]
    chances = random.Random(seed)
    for _ in range(500):
        place = chances.randrange(len(data))
        damaged = bytearray(data)
        damaged[place] ^= 1 << chances.randrange(8)
        if not faults(bytes(damaged)):
            # Only keys prove a receipt's own text, and nothing proves the version in the header.
            line = data[: place + 1].count(b"\n") - (data[place : place + 1] == b"\n")
            assert line == 0 or data.splitlines(keepends=True)[line] in signatures


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
@pytest.mark.sqlite_only
def test_no_export_that_is_cut_short_passes(exported: Path, data: st.DataObject) -> None:
    whole = exported.read_bytes()
    assert faults(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_no_bytes_make_a_traceback_or_pass(lines: list[bytes]) -> None:
    assert faults(b"\n".join(lines))


def test_what_was_tampered_with_is_exported_as_it_is_and_found(exported: Path) -> None:
    tamper("UPDATE dropslot_event SET kind = 'forged' WHERE seq = 4")
    found = faults(written(exported.parent).read_bytes())
    assert len(found) == 1 and "event 4" in found[0]


@pytest.mark.parametrize("data", ["", "{", '{}\n{"x":1}', "{}} ", "[1]", '{"a": 1}', "null"])
@pytest.mark.sqlite_only
def test_data_that_is_no_json_is_exported_on_one_line_and_found(exported: Path, data: str) -> None:
    tamper("UPDATE dropslot_event SET data = %s WHERE seq = 4", (data,))
    assert faults(written(exported.parent).read_bytes())


def test_an_end_that_was_removed_from_the_database_is_found_in_the_export(exported: Path) -> None:
    tamper("DELETE FROM dropslot_event WHERE seq > 7")
    found = faults(written(exported.parent).read_bytes())
    assert len(found) == 1 and "the end of the chain was removed" in found[0]


def test_an_export_ends_at_the_head_it_began_with(database: Database, tmp_path: Path) -> None:
    head = grow(3)

    class Growing(io.StringIO):
        def write(self, text: str) -> int:
            if '"seq":2}' in text:
                give_receipt(tmp_path, grow(2), 5)
            return super().write(text)

    stream = Growing()
    assert export.write(stream) == (3, 0, head)
    assert faults(stream.getvalue().encode()) == []


def test_an_empty_trail_makes_an_export_that_is_well(database: Database) -> None:
    stream = io.StringIO()
    assert export.write(stream) == (0, 0, Head(0, "0" * 64))
    assert faults(stream.getvalue().encode()) == []
