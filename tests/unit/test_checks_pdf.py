"""A PDF passes only if its text contains what its name says; whatever is done to the file or to who reads it."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dropslot.checks import CheckFailed, StagedArrival, StagedItem, run
from dropslot.checks.pdf_contains import PdfContains
from dropslot.parsing import pdf as parsing_pdf
from dropslot.parsing import process
from pdfs import PATTERN, SPECIMEN, bomb, by_hand, own_grandfather, pdf, picture
from waiting import wait_until

READER = process.parser(process.PDF)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    process.close()
    assert READER.pid is None
    assert set(os.listdir("/proc/self/fd")) <= before


def reasons(content: bytes, name: str = f"{SPECIMEN}.pdf", option: Any = PATTERN) -> list[str]:
    """As the check gives them for staged bytes, from a file and from elsewhere alike."""

    def from_file() -> BinaryIO:
        staged = os.fdopen(os.memfd_create("staged"), "w+b")
        staged.write(content)
        staged.flush()
        return staged

    first = _checked(name, len(content), from_file, option)
    assert _checked(name, len(content), lambda: io.BytesIO(content), option) == first
    return first


def _checked(name: str, size: int, open_staged: Callable[[], BinaryIO], option: Any) -> list[str]:
    item = StagedItem(name, size, {}, open_staged)
    return run([PdfContains(option)], StagedArrival("drop", {}, [item]))


def reason(content: bytes, name: str = f"{SPECIMEN}.pdf", option: Any = PATTERN) -> str:
    """The one reason, without the name of the item."""
    found = reasons(content, name, option)
    assert len(found) == 1 and found[0].isprintable()
    return found[0].partition(": ")[2]


@pytest.mark.parametrize(
    "content",
    [
        pdf(f"Specimen {SPECIMEN}, HIV-1 RNA"),
        pdf("Cover", "Methods", f"Specimen: {SPECIMEN}"),
        pdf(["Specimen 066-", "12345678-1 received"]),
        pdf(["Specimen 066-1234", "5678-1"]),
        pdf("Specimen 066 - 12345678 - 1"),
        pdf(f"ID{SPECIMEN}"),
        by_hand(b"BT /F1 12 Tf 20 100 Td (066\\055123) Tj (45678\\0551) Tj ET"),
        pdf(SPECIMEN, user_password=""),
    ],
    ids=[
        "plain",
        "page 3",
        "split at hyphen",
        "split in number",
        "spaced",
        "glued",
        "operators",
        "owner only",
    ],
)
def test_what_the_name_says_is_found_in_the_text(content: bytes) -> None:
    assert reasons(content) == []


@pytest.mark.parametrize(
    "text", ["066-12345678-2", "066-12345678-15", "1066-12345678-1", "06612345678 1", ""]
)
def test_another_specimen_is_refused(text: str) -> None:
    assert reason(pdf(f"Specimen {text}.")) == f"there is no '{SPECIMEN}' in the text of its only page"


@pytest.mark.parametrize("text", ["Sample 12\u00b3", "Sample 12\u00be", "Sample 12\u00b9"])
def test_a_note_at_a_number_is_no_digit_of_it(text: str) -> None:
    option = r"S(?P<number>\d+)"
    assert reasons(pdf(text), "S12.pdf", option) == []
    for other in ("S123.pdf", "S1231.pdf", "S121.pdf"):
        assert "there is no" in reason(pdf(text), other, option)


def test_a_number_is_not_pieced_together_from_two_pages() -> None:
    assert reason(pdf("066-1234", "5678-1")).endswith("in the text of any of its 2 pages")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pdf(SPECIMEN, user_password="secret"), "its text cannot be extracted: it is encrypted and needs a password"),
        (pdf(SPECIMEN)[:600], "it is cut off or damaged: it does not end as a PDF does (%%EOF)"),
        (pdf(SPECIMEN)[:-3], "it is cut off or damaged: it does not end as a PDF does (%%EOF)"),
        (SPECIMEN.encode(), "its text cannot be extracted: it is not a PDF, or is damaged"),
        (b"%PDF-1.4\n%%EOF\n", "its text cannot be extracted: it is not a PDF, or is damaged"),
        (b"", "it is empty, so there is no text in it"),
        (picture(), "there is no text on its only page (a scanned image?), so"),
        (pdf("", ""), "there is no text on any of its 2 pages (a scanned image?), so"),
        (pdf("", "text"), "(of its pages 1 have no text)"),
        (own_grandfather(), "(of its pages 2 cannot be read, first 2, 3)"),
        (by_hand(b"", pages=b"<</Type/Pages/Kids[2 0 R]/Count 2000000000>>"), "its text cannot be extracted"),
    ],
    ids=[
        "encrypted", "truncated", "end missing", "text", "only frame", "empty", "scan", "no text", "one without text",
        "tree of itself", "endless tree",
    ],
)  # fmt: skip
def test_text_that_cannot_be_had_is_a_refusal_that_says_why(content: bytes, why: str) -> None:
    assert why in reason(content)


def test_a_stream_that_inflates_to_gigabytes_is_refused_and_the_next_file_is_judged() -> None:
    assert (
        "its text cannot be extracted"
        in _checked("066-12345678-1", 0, lambda: io.BytesIO(bomb()), PATTERN)[0]
    )
    assert reasons(pdf(SPECIMEN)) == []


def test_what_is_larger_than_the_memory_it_may_use_is_refused_unread() -> None:
    def never() -> BinaryIO:
        raise AssertionError("it was opened")

    (found,) = _checked(f"{SPECIMEN}.pdf", process.MEMORY_BYTES + 1, never, PATTERN)
    assert "with 1,024 MiB of memory" in found


def test_ten_thousand_pages_are_read_to_the_last() -> None:
    pages = [f"page {number}" for number in range(9_999)]
    assert reasons(pdf(*pages, SPECIMEN)) == []


def test_computing_for_too_long_is_a_refusal() -> None:
    pages = [f"page {number}" for number in range(5_000)]
    long = reason(pdf(*pages), option={"pattern": PATTERN, "seconds": 0.05})
    assert long == "its text cannot be extracted within 0.05 s of computing"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("other.pdf", PATTERN),
        ("x.pdf", r"(?P<a>\d*)"),
        ("066-.pdf", r"066(?P<a>-)"),
        ("x.pdf", r"(?P<a>066)?.pdf"),
    ],
)
def test_a_name_that_says_nothing_is_refused(name: str, option: str) -> None:
    assert reason(pdf(SPECIMEN), name, option).startswith("its name does not say what it must contain")


@pytest.mark.parametrize(
    ("option", "text", "passes"),
    [
        (r"066-\d{8}-\d", SPECIMEN, True),
        (r"(066)-\d{8}-\d", "066", False),
        (r"(?P<a>066-\d{8}-\d)_(?P<b>\w\d+)", f"{SPECIMEN} of P7", True),
        (r"(?P<a>066-\d{8}-\d)_(?P<b>\w\d+)", f"{SPECIMEN} of P71", False),
        (r"(?P<a>066-\d{8}-\d)(?P<c>!)?", SPECIMEN, True),
    ],
)
def test_named_groups_else_the_whole_match_must_be_there(option: str, text: str, passes: bool) -> None:
    assert (reasons(pdf(text), f"{SPECIMEN}_P7.pdf", option) == []) is passes


@pytest.mark.parametrize(
    ("text", "passes"), [("कल 5", True), ("कला 5", False), ("हकल", False), ("कल5", True)]
)
def test_a_word_of_another_script_is_not_found_in_a_longer_one(text: str, passes: bool) -> None:
    assert bool(parsing_pdf._pattern("कल").search(parsing_pdf._plain(text))) is passes  # noqa: SLF001 - ours


def test_names_in_any_script_are_looked_for() -> None:
    assert reason(pdf("x"), "\u0436\u202e7\udcff.pdf", r"(.+)\.pdf").startswith("there is no '")


@pytest.mark.parametrize(
    "option", [None, "", 7, "(", {"seconds": 5}, {"pattern": "x", "seconds": 0}, {"pattern": "x", "more": 1}]
)
def test_options_that_mean_nothing_are_refused(option: Any) -> None:
    with pytest.raises((ValueError, TypeError, re.error)):
        PdfContains(option)


def _kill_when_asked(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    READER.start()
    hear = process.Parser._heard  # noqa: SLF001 - ours

    def heard(reader: process.Parser, *args: Any) -> bytes | None:
        assert reader.pid is not None
        os.kill(reader.pid, number)
        return hear(reader, *args)

    monkeypatch.setattr(process.Parser, "_heard", heard)
    send = socket.send_fds

    def stop_and_send(*args: Any) -> int:
        # A process that is stopped answers nothing, so that the signal comes first.
        assert READER.pid is not None
        os.kill(READER.pid, signal.SIGSTOP)
        return send(*args)

    monkeypatch.setattr(socket, "send_fds", stop_and_send)


def test_the_process_killed_in_the_middle_is_a_retry_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        _kill_when_asked(patched, signal.SIGKILL)
        with pytest.raises(CheckFailed, match="could not be looked at") as caught:
            reasons(pdf(SPECIMEN))
    assert caught.value.retryable
    assert reasons(pdf(SPECIMEN)) == []


def test_a_file_that_the_disk_does_not_give_is_tried_again() -> None:
    unreadable = Path("/proc/self/mem")  # a regular file of which no byte can be read
    with pytest.raises(CheckFailed, match="could not read it: ") as caught:
        _checked(f"{SPECIMEN}.pdf", 100, lambda: unreadable.open("rb"), PATTERN)
    assert caught.value.retryable


def test_a_process_that_cannot_be_started_is_a_retry_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    process.close()
    with monkeypatch.context() as patched:
        patched.setattr(process, "_PROGRAM", ("/nowhere/python",))
        with pytest.raises(CheckFailed, match="cannot be started: No such file or directory"):
            reasons(pdf(SPECIMEN))
    assert reasons(pdf(SPECIMEN)) == []


def test_a_process_that_does_not_answer_is_replaced_and_the_file_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        _kill_when_asked(patched, signal.SIGSTOP)
        patched.setattr(process, "LEAST_WALL_SECONDS", 0.1)
        with pytest.raises(CheckFailed, match="did not answer in time"):
            reasons(pdf(SPECIMEN), option={"pattern": PATTERN, "seconds": 0.02})
    assert reasons(pdf(SPECIMEN)) == []


def test_a_file_after_one_that_breaks_the_process_is_judged_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert reasons(pdf(SPECIMEN)) == []
    broken = READER.pid
    assert broken is not None
    os.kill(broken, signal.SIGSEGV)
    wait_until(lambda: Path(f"/proc/{broken}/stat").read_text().split()[2] == "Z", what="its end")
    assert reasons(pdf(SPECIMEN)) == []
    assert READER.pid != broken


def test_the_process_is_told_no_secret_and_may_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPSLOT_DATABASE_PASSWORD", "hush")
    assert reasons(pdf(SPECIMEN)) == []
    seen = Path(f"/proc/{READER.pid}")
    assert b"hush" not in (seen / "environ").read_bytes()
    limits = {line[:20].strip(): line[26:].split() for line in (seen / "limits").read_text().splitlines()}
    assert limits["Max file size"][0] == "0"
    assert limits["Max address space"][0] == str(process.MEMORY_BYTES)
    open_now = [os.readlink(path) for path in (seen / "fd").iterdir()]
    assert sorted(open_now)[:3] == ["/dev/null"] * 3 and len(open_now) == 4


def test_the_process_ends_when_its_owner_is_killed() -> None:
    reading, writing = os.pipe()
    owner = os.fork()
    if owner == 0:
        reasons(pdf(SPECIMEN))
        os.write(writing, str(READER.pid).encode())
        signal.pause()
    reader = int(os.read(reading, 20))
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    for descriptor in (reading, writing):
        os.close(descriptor)
    wait_until(lambda: _is_over(reader), what="the end of the process")


def _is_over(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_fork_has_a_process_of_its_own_and_leaves_the_other_alone() -> None:
    assert reasons(pdf(SPECIMEN)) == []
    before = READER.pid
    child = os.fork()
    if child == 0:
        well = READER.pid is None and reasons(pdf("other")) != []
        well = well and READER.pid != before
        process.close()
        os._exit(0 if well else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert reasons(pdf(SPECIMEN)) == []
    assert READER.pid == before


def test_threads_take_turns() -> None:
    found: list[list[str]] = []
    contents = [pdf(SPECIMEN), pdf("other")] * 8
    threads = [threading.Thread(target=lambda each=each: found.append(reasons(each))) for each in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, found)) == [0] * 8 + [1] * 8
