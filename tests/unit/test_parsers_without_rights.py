"""A parser that a hostile file has taken over reads what it was given, and can do nothing else."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from acting import acting
from dropslot.parsing import process, syscall_filter
from people import Person
from waiting import wait_until

_CHOWN = 1 << 0
_TESTS = str(Path(__file__).parent.parent)


@pytest.fixture(autouse=True)
def _secrets_and_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [_TESTS, os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("DROPSLOT_DATABASE_PASSWORD", "hush")


@pytest.fixture
def given(open_folder: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """What the attacker is told, true for whoever asks: servers that it could reach, and the service's key."""
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        named, abstract = (stack.enter_context(closing(socket.socket(socket.AF_UNIX))) for _ in range(2))
        named.bind(str(open_folder / "socket"))
        abstract.bind(f"\0dropslot-test-{os.getpid()}")
        for each in (named, abstract):
            each.listen()
        (open_folder / "socket").chmod(0o777)
        key = open_folder / "key"
        key.write_text("secret")
        key.chmod(0o600)
        told = {"tcp": tcp.getsockname()[1], "unix": named.getsockname(), "key": str(key)}
        yield lambda: told | {"abstract": abstract.getsockname().decode(), "parent": os.getpid()}


def _attacked(question: dict[str, Any], module: str = "attacks") -> tuple[dict[str, str], list[str], str]:
    """What became of each attempt, the layers that are missing, and how the kernel describes the process."""
    parser = process.Parser(module)
    try:
        with open(question["key"], "rb") as file:
            outcome = parser.ask([file.fileno()], question, question.get("seconds", 5.0))
        return outcome, parser.missing, Path(f"/proc/{parser.pid}/status").read_text()
    finally:
        parser.close()


def _with_chown() -> None:
    """As the systemd unit has it: another account than root, and CAP_CHOWN, which outlives an exec."""
    libc = ctypes.CDLL(None)
    data = struct.pack("=6I", _CHOWN, _CHOWN, _CHOWN, 0, 0, 0)
    assert libc.capset(struct.pack("=Ii", 0x20080522, 0), data) == 0
    assert libc.prctl(47, ctypes.c_long(2), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0)) == 0


def _as_service(service: Person, key: str, call: Callable[[], Any]) -> Any:
    os.chown(key, service.uid, service.gid)

    def with_capability() -> Any:
        _with_chown()
        return call()

    keep = ctypes.CDLL(None)
    keep.prctl(8, ctypes.c_long(1))  # in the fork only: this is taken back below
    try:
        return acting(service, with_capability)
    finally:
        keep.prctl(8, ctypes.c_long(0))


def _succeeded(outcome: dict[str, str]) -> dict[str, str]:
    return {name: what for name, what in outcome.items() if what != "refused"}


def test_started_by_root_it_can_do_nothing(given: Callable[[], dict[str, Any]]) -> None:
    outcome, missing, status = _attacked(given())
    assert (_succeeded(outcome), missing) == ({}, [])
    assert "\nUid:\t65534\t65534\t65534\t65534\n" in status and "\nGroups:\t \n" in status
    _has_no_rights(status)
    assert "\nCapBnd:\t0000000000000000\n" in status


def test_started_by_an_account_with_a_capability_it_can_do_nothing(
    given: Callable[[], dict[str, Any]], service_user: Person
) -> None:
    outcome, missing, status = _as_service(service_user, given()["key"], lambda: _attacked(given()))
    assert (_succeeded(outcome), missing) == ({}, [])
    _has_no_rights(status)


def _has_no_rights(status: str) -> None:
    for kind in ("Inh", "Prm", "Eff", "Amb"):
        assert f"\nCap{kind}:\t0000000000000000\n" in status
    assert "\nNoNewPrivs:\t1\n" in status and "\nSeccomp:\t2\n" in status


def test_without_landlock_the_others_hold_and_it_is_told(
    given: Callable[[], dict[str, Any]], service_user: Person
) -> None:
    attacked = lambda: _attacked(given(), "attacks_without_landlock")  # noqa: E731
    outcome, missing, _ = _as_service(service_user, given()["key"], attacked)
    assert (_succeeded(outcome), missing) == ({}, ["Landlock: Function not implemented"])


def test_without_a_filter_of_system_calls_files_and_the_parent_are_out_of_reach(
    given: Callable[[], dict[str, Any]], service_user: Person
) -> None:
    attacked = lambda: _attacked(given(), "attacks_without_filter")  # noqa: E731
    outcome, missing, _ = _as_service(service_user, given()["key"], attacked)
    assert missing == ["system calls: Function not implemented"]
    for attempt in (
        "read the key",
        "list /",
        "write to /tmp",
        "remove the key",
        "rename the key",
        "make a folder",
    ):
        assert outcome[attempt] == "refused", attempt
    for attempt in ("trace the parent", "read the parent's environment", "write the parent's memory", "fork"):
        assert outcome[attempt] == "refused", attempt
    for attempt in (
        "become root",
        "get capabilities back",
        "give the key away",
        "widen its limits",
        "two gigabytes",
    ):
        assert outcome[attempt] == "refused", attempt
    assert Path(given()["key"]).read_text() == "secret"


def test_computing_for_ever_with_its_clock_switched_off_is_a_statement_about_the_file(
    given: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "LEAST_WALL_SECONDS", 0.5)
    with pytest.raises(process.TakesTooLong):
        _attacked(given() | {"spin": True, "seconds": 0.01})


def test_answers_that_nobody_asked_for_end_the_process() -> None:
    with closing(process.Parser("chatter")) as parser:
        assert parser.ask([], 1, 1.0) == 1
        before, channel = parser.pid, parser._channel  # noqa: SLF001 - ours
        assert channel is not None
        wait_until(lambda: select.select([channel], [], [], 0)[0], what="an answer to no question")
        assert parser.ask([], 2, 1.0) == 2
        assert parser.pid != before


def test_only_a_page_that_the_disk_does_not_give_is_no_statement_about_the_file(
    given: Callable[[], dict[str, Any]],
) -> None:
    with pytest.raises(process.NotParsed, match="was ended by signal 7"):
        _attacked(given() | {"signal": signal.SIGBUS})
    with pytest.raises(process.BreaksParser, match="SIGSEGV"):
        _attacked(given() | {"signal": signal.SIGSEGV})


def test_a_program_of_32_bits_gets_no_filter_of_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscall_filter, "_POINTER_BYTES", 4)
    with pytest.raises(OSError, match="no list of system calls for 32-bit programs"):
        syscall_filter.restrict()


def test_what_lies_beside_dropslot_hides_no_module_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As an old backport of `typing` in site-packages, which nobody notices else.
    (tmp_path / "typing.py").write_text("raise RuntimeError('the wrong one')")
    (tmp_path / "dropslot").symlink_to(Path(process.__file__).parents[1])
    monkeypatch.setattr(process, "__file__", str(tmp_path / "dropslot" / "parsing" / "process.py"))
    with closing(process.Parser(process.CONTENT_TYPES)) as parser:
        assert parser.start() == []


def test_a_module_that_cannot_be_loaded_is_told_by_its_name() -> None:
    with pytest.raises(
        process.NotParsed, match="cannot work here: ModuleNotFoundError: No module named 'nowhere'"
    ):
        process.Parser("nowhere").ask([], None, 1.0)
