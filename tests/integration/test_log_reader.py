"""Logs that rotate, break off, vanish or are something else; readers that are killed. Nothing is lost or read twice."""

from __future__ import annotations

import gzip
import json
import os
import signal
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from databases import Database
from dropslot.acknowledgments import log_reader, reader_run, record_fetches
from dropslot.acknowledgments.lines import LogLineReader, Request
from dropslot.acknowledgments.log_reader import Reader
from dropslot.acknowledgments.logs import blocks, rotation
from dropslot.acknowledgments.logs.log_sources import LogUnready
from dropslot.acknowledgments.logs.recognizing import WrongFormat
from dropslot.acknowledgments.models import Acknowledgment, LogPosition, LogReading
from dropslot.acknowledgments.reader_run import ReadElsewhere
from dropslot.acknowledgments.section import logs_of
from dropslot.acknowledgments.undo import NotAcknowledged, undo
from dropslot.arrivals.models import Arrival, Delivery, Place
from dropslot.audit.models import Event
from dropslot.config import Route, from_mapping
from dropslot.core.states import Outcome, State
from rotating import HOW, rotate

NOW = datetime.now(UTC).replace(microsecond=0)
SIZE = 100


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "access.log"


@pytest.fixture
def route(tmp_path: Path, log: Path) -> Route:
    log.parent.mkdir()
    return route_of(tmp_path, log)


def route_of(tmp_path: Path, log: Path | str, **entry: Any) -> Route:
    keys = {
        "folders": "./r",
        "name": "(?P<folder>[^-]+)-.*",
        "deliver": [{"to": "./to/{folder}"}],
        "acknowledge": [
            {"log": str(log), "match": "/results/{folder}/{stored_name}", "users": {"c": "dig"}, **entry}
        ],
    }
    return from_mapping({"routes": {"r": keys}}, tmp_path).routes["r"]


def read(route: Route, **options: Any) -> LogReading:
    return Reader(route, logs_of(route)[0]).read(**options)


def delivered(route: Route, count: int) -> None:
    """Files dig-0.pdf, dig-1.pdf, … as they are recorded."""
    place = Place.objects.get_or_create(url=route.deliver[0].to.replace("{folder}", "dig"))[0]
    arrival = Arrival.objects.create(
        id="A" * 26, route="r", inbox="/r", name="x", name_bytes=b"x", is_folder=True, state=State.DONE,
        fields={"folder": "dig"}, received_at=NOW - timedelta(days=1), finished_at=NOW,
    )  # fmt: skip
    Delivery.objects.bulk_create(
        Delivery(
            arrival=arrival, place=place, item=f"dig-{number}.pdf", stored_as=f"dig-{number}.pdf", version=1,
            outcome=Outcome.DELIVERED, sha256="0" * 64, size_bytes=SIZE, mtime_ns=0,
        )
        for number in range(count)
    )  # fmt: skip


def line(number: int, user: str = "c") -> str:
    """Every line is another one: its port of the clinic's page tells which."""
    at = (NOW + timedelta(seconds=number)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'10.0.0.1 - {user} [{at}] "GET /results/dig/dig-{number}.pdf HTTP/1.1" 200 {SIZE} "-" "UA {number}"\n'


def write(log: Path, numbers: range, mode: str = "a") -> None:
    with log.open(mode) as stream:
        stream.writelines(map(line, numbers))


def found() -> list[str]:
    """The stored names of all acknowledgments, in order of recording: one that was read twice would be here twice."""
    return list(Acknowledgment.objects.order_by("id").values_list("delivery__stored_as", flat=True))


def names(numbers: range) -> list[str]:
    return [f"dig-{number}.pdf" for number in numbers]


def test_reading_goes_on_where_it_stopped(database: Database, route: Route, log: Path) -> None:
    delivered(route, 30)
    write(log, range(10))
    assert read(route).lines == 10
    assert read(route).lines == 0
    write(log, range(10, 20))
    assert read(route).matches == 10
    assert sorted(found()) == sorted(names(range(20)))
    assert Event.objects.filter(kind="acknowledged").count() == 20
    [first, idle, second] = LogReading.objects.order_by("id")
    assert (first.after, idle.lines) == (second.before, 0)
    assert second.ended_at is not None


def test_partial_line_waits_for_its_end(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 2)
    whole = line(0)
    log.write_text(whole[:-20])
    assert read(route).lines == 0
    with log.open("a") as stream:
        stream.write(whole[-20:])
    assert read(route).lines == 1
    assert found() == names(range(1))


@pytest.mark.parametrize("how", HOW)
def test_real_logrotate_loses_and_repeats_no_line(
    sqlite_database: Database, route: Route, log: Path, tmp_path: Path, how: str
) -> None:
    delivered(route, 100)
    write(log, range(10))
    read(route)
    at = 10
    for _ in range(3):
        write(log, range(at, at + 10))  # before the rotation, not yet read
        rotate(log, tmp_path, how)
        write(log, range(at + 10, at + 20))
        read(route)
        at += 20
    rotate(log, tmp_path, how)  # twice before the next look
    write(log, range(at, at + 10))
    rotate(log, tmp_path, how)
    write(log, range(at + 10, at + 20))
    read(route)
    read(route)
    assert found() == names(range(at + 20))


def test_late_lines_in_the_rotated_file_are_read(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 30)
    write(log, range(10))
    read(route)
    log.rename(log.with_name("access.log.1"))
    write(log, range(20, 30))
    read(route)
    write(log.with_name("access.log.1"), range(10, 20))  # a server that was not told yet
    read(route)
    assert sorted(found()) == sorted(names(range(30)))


def test_rotation_of_which_only_the_old_file_is_there(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 20)
    write(log, range(10))
    read(route)
    write(log, range(10, 20))
    log.rename(log.with_name("access.log.1"))
    read(route)
    assert found() == names(range(20))


def test_log_that_begins_anew_is_another_log(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 30)
    write(log, range(10))
    read(route)
    write(log, range(10, 30), "w")  # longer than before, so its size tells nothing
    read(route)
    assert found() == names(range(30))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.sqlite_only
def test_first_run_reads_what_was_rotated_before_oldest_first(
    database: Database, route: Route, log: Path, tmp_path: Path, how: str
) -> None:
    delivered(route, 40)
    for at in range(0, 30, 10):
        write(log, range(at, at + 10))
        rotate(log, tmp_path, how)
    write(log, range(30, 40))
    assert read(route).lines == 40
    assert found() == names(range(40))
    write(log, range(40, 41))
    rotate(log, tmp_path, how)
    assert read(route).lines == 1


def test_first_run_of_a_route_that_delivered_nothing_leaves_old_logs_alone(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    write(log.with_name("access.log.1"), range(10))
    write(log, range(10, 12))
    assert read(route).lines == 2


def test_first_run_reads_a_copy_of_the_log_once(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 30)
    write(log, range(10))
    log.with_name("access.log-20260101").write_bytes(log.read_bytes())  # by a careful administrator
    log.with_name("access.log-20260102.gz").write_bytes(gzip.compress(log.read_bytes()))
    write(log, range(10, 20))
    read(route)
    write(log, range(20, 30))
    read(route)
    assert found() == names(range(30))


def test_first_run_over_more_files_than_are_opened_at_once(
    sqlite_database: Database, route: Route, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "OPEN_AT_ONCE", 3)
    delivered(route, 22)
    for number in range(1, 21):
        packed = gzip.compress(line(20 - number).encode())
        log.with_name(f"access.log.{number}.gz").write_bytes(packed)
    write(log, range(20, 22))
    before = len(os.listdir("/proc/self/fd"))
    assert read(route).lines == 22
    assert found() == names(range(22))
    assert len(os.listdir("/proc/self/fd")) <= before


def test_first_run_passes_old_logs_of_another_format(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 40)
    log.with_name("access.log.1").write_text("".join(other(number) for number in range(30)))
    write(log, range(30, 40))
    run = read(route)
    assert (run.acknowledged, run.unreadable) == (10, 30)
    assert read(route).lines == 0


def test_first_run_that_is_stopped_goes_on_later(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 40)
    for number in range(3, 0, -1):
        write(log.with_name(f"access.log.{number}"), range(30 - 10 * number, 40 - 10 * number))
    write(log, range(30, 40))
    assert read(route, stop=lambda: True).lines == 0
    asked = iter([False, False, True])
    read(route, stop=lambda: next(asked, True))
    assert len(found()) < 40
    read(route)
    assert found() == names(range(40))


def test_logs_on_postgresql_and_sqlite_rotate_alike(database: Database, route: Route, log: Path) -> None:
    delivered(route, 20)
    write(log, range(10))
    read(route)
    with gzip.open(log.with_name("access.log.1.gz"), "wb") as packed:
        packed.write(log.read_bytes() + "".join(map(line, range(10, 15))).encode())
    write(log, range(15, 20), "w")
    read(route)
    read(route)
    assert found() == names(range(20))


# What bad input gets


def test_unreadable_and_vanished_logs_are_told_and_healed(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 20)
    write(log, range(10))
    read(route)
    log.rename(log.with_name("aside"))
    with pytest.raises(LogUnready, match="does not exist") as caught:
        read(route)
    assert caught.value.retryable
    log.mkdir()
    with pytest.raises(LogUnready, match="is not a file"):
        read(route)
    log.rmdir()
    log.with_name("aside").rename(log)
    write(log, range(10, 20))
    assert read(route).matches == 10
    assert [bool(row.error) for row in LogReading.objects.order_by("id")] == [False, True, True, False]


def test_log_that_shrinks_goes_on_behind_the_cut(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 40)
    write(log, range(20))
    read(route)
    os.truncate(log, sum(len(line(number)) for number in range(15)))
    assert read(route).lines == 0
    write(log, range(20, 30))
    assert read(route).lines == 10
    assert found() == names(range(30))


def test_log_that_was_rotated_away_unread_is_told(
    sqlite_database: Database, route: Route, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delivered(route, 30)
    write(log, range(10))
    read(route)
    assert "removed by rotation" not in capsys.readouterr().out
    write(log, range(20, 30), "w")
    read(route)
    assert "removed by rotation" in capsys.readouterr().out
    assert found() == [*names(range(10)), *names(range(20, 30))]


def test_log_without_permission_is_told(sqlite_database: Database, tmp_path: Path, other_user: Any) -> None:
    log = tmp_path / "access.log"
    write(log, range(1))
    log.chmod(0)
    pid = os.fork()
    if pid == 0:
        os.setegid(other_user.gid)
        tmp_path.chmod(0o755)
        os.chown(tmp_path, other_user.uid, other_user.gid)
        for folder in tmp_path.parents:
            if folder.stat().st_uid == 0 and str(folder) not in ("/", "/tmp"):
                folder.chmod(folder.stat().st_mode | 0o111)
        os.seteuid(other_user.uid)
        from dropslot.acknowledgments.logs.local_logs import LocalFolder

        try:
            LocalFolder(str(log)).open(log.name)
        except LogUnready as error:
            os._exit(0 if "Permission denied" in str(error) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_log_of_another_format_is_told_and_read_later(
    sqlite_database: Database, route: Route, log: Path, tmp_path: Path
) -> None:
    delivered(route, 20)
    log.write_text("".join(other(number) for number in range(5)))
    with pytest.raises(WrongFormat, match="None of the 5 lines") as caught:
        read(route)
    assert "UA 0" in str(caught.value)
    assert (LogReading.objects.get().error, found()) == (str(caught.value), [])
    assert read(route_of(tmp_path, log, format=OTHER)).acknowledged == 5


OTHER = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %X'


def other(number: int) -> str:
    """As `line`, in the format OTHER."""
    return f"{line(number)[:-1]} 12 +\n"


def test_lines_from_before_the_format_was_changed_are_counted_and_passed(
    sqlite_database: Database, route: Route, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delivered(route, 300)
    with log.open("w") as stream:
        stream.writelines(map(other, range(200)))
    write(log, range(200, 300))
    block = sum(len(other(number)) for number in range(100))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.blocks, "__kwdefaults__", {"skipping": False, "size": block})
        run = read(route)
    assert found() == names(range(200, 300))
    assert (run.lines, run.unreadable) == (300, 200)
    assert "200 lines of log" in capsys.readouterr().out


def test_format_that_changes_later_stops_at_its_first_line(
    sqlite_database: Database, route: Route, log: Path, tmp_path: Path
) -> None:
    delivered(route, 60)
    write(log, range(10))
    read(route)
    with log.open("a") as stream:
        stream.writelines(map(other, range(10, 60)))
    with pytest.raises(WrongFormat, match="None of the 50 lines"):
        read(route)
    read(route_of(tmp_path, log, format=OTHER))
    assert found() == names(range(60))


def test_odd_lines_are_counted_and_passed(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 3)
    odd = [
        "GET /results/dig/dig-0.pdf\n",
        "\0\0\0/results/\n",
        line(1)[:40] + "/results/\n",
        '"' * 50 + "/results/\n",
    ]
    log.write_text(line(0) + "".join(odd) + line(2))
    run = read(route)
    assert (run.lines, run.unreadable, run.matches) == (6, 4, 2)


def test_no_header_is_long_enough_to_hide_a_fetch(sqlite_database: Database, route: Route, log: Path) -> None:
    delivered(route, 2)
    longest = r"\xff" * 8180  # of Apache's LimitRequestFieldSize, as its log has it
    lines = [line(0, user="other"), line(1)]
    log.write_text(
        "".join(each.replace('"-"', f'"{longest}"').replace('"UA ', f'"{longest}') for each in lines)
    )
    run = read(route)
    assert (run.unreadable, run.acknowledged, run.accesses) == (0, 1, 1)


def test_fetch_by_others_that_broke_off_is_an_access(
    sqlite_database: Database, tmp_path: Path, route: Route, log: Path
) -> None:
    delivered(route, 3)
    log.write_text(
        line(0, user="other").replace("\n", f" {SIZE} X\n")
        + line(1, user="other").replace("\n", " 0 X\n")
        + line(2).replace("\n", f" {SIZE} X\n")
    )
    exact = '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %O %X'
    run = read(route_of(tmp_path, log, format=exact))
    assert (run.acknowledged, run.accesses) == (0, 1)
    assert '"because":"not a user of this folder"' in Event.objects.get(kind="accessed").data


def test_line_of_ten_megabytes_is_passed_in_little_memory(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 3)
    with log.open("w") as stream:
        stream.write(line(0))
        stream.writelines(["x/results/" * 1000] * 1000)
        stream.write("\n" + line(1))
    tracemalloc.start()
    run = read(route)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (run.lines, run.unreadable, run.matches) == (3, 1, 2)
    assert peak < 8 << 20


def test_long_line_that_is_still_written_is_not_read_again(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 3)
    log.write_text(line(0) + "x" * (3 * blocks.BLOCK))
    assert read(route).lines == 1
    offset = LogPosition.objects.get().marks[-1]["offset"]
    assert offset > 2 * blocks.BLOCK
    with log.open("a") as stream:
        stream.write("x" * 10 + "\n" + line(1))
    run = read(route)
    assert (run.lines, run.unreadable, run.matches) == (2, 1, 1)


ODD = {
    "IPv6 with a zone": ("fe80::1%eth0", "c", b"", "fe80::1%eth0", "c"),
    "host name": ("pc-17.clinic.example", "c", b"", "pc-17.clinic.example", "c"),
    "escapes": ("h", 'cl\\xc3\\xadnica \\"7\\"', b"", "h", 'clínica "7"'),
    "escaped NUL": ("h", "c\\x00d", b"", "h", "c\\x00d"),
    "escaped invalid UTF-8": ("h", "c\\xff", b"", "h", "c\\xff"),
    "terminal's commands": ("h", "c\\x1b[2J", b"", "h", "c\\x1b[2J"),
    "raw NUL": ("h", "c", b"\0", "h", "c\\x00"),
    "raw invalid UTF-8": ("h", "c", b"\xff\xfe", "h", "c\\xff\\xfe"),
    "raw right-to-left mark": ("h", "c", "\u202e".encode(), "h", "c\\u202e"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_users_and_addresses_are_recorded_escaped(
    database: Database, route: Route, log: Path, tmp_path: Path, odd: str
) -> None:
    address, user, raw, shown_address, shown_user = ODD[odd]
    delivered(route, 1)
    written = line(0, user="USER").replace("10.0.0.1", address).encode()
    log.write_bytes(written.replace(b"USER", user.encode() + raw))
    run = read(route_of(tmp_path, log, users={"*": "dig"}))
    assert (run.acknowledged, run.unreadable) == (1, 0)
    row = Acknowledgment.objects.get()
    assert (row.address, row.user) == (shown_address, shown_user)
    assert bytes(row.line) == log.read_bytes()[:-1]
    assert shown_user in json.loads(Event.objects.get(kind="acknowledged").data)["user"]


@pytest.mark.parametrize("odd", [b"\0", b"\xff", b"%00", b"%FF", b"\\x00", b"%ED%A0%80"])
@pytest.mark.sqlite_only
def test_odd_bytes_in_an_address_ask_for_nothing(
    database: Database, route: Route, log: Path, odd: bytes
) -> None:
    delivered(route, 2)
    log.write_bytes(line(0).encode().replace(b"dig-0", b"dig-0" + odd) + line(1).encode())
    run = read(route)
    assert (run.lines, run.acknowledged, found()) == (2, 1, names(range(1, 2)))


def test_request_for_a_file_never_sent_acknowledges_nothing(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 1)
    log.write_text(
        line(7) + line(0).replace("/results/dig/", "/results/other/") + line(0).replace("200 100", "200 99")
    )
    run = read(route)
    assert (run.lines, run.matches, run.acknowledged) == (3, 1, 0)
    assert found() == []


def test_fetch_before_the_file_was_received_is_an_access(
    sqlite_database: Database, route: Route, log: Path
) -> None:
    delivered(route, 1)
    Arrival.objects.update(received_at=NOW + timedelta(days=2))
    write(log, range(1))
    assert read(route).accesses == 1
    assert '"because":"before it was received"' in Event.objects.get(kind="accessed").data


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "still being written": lambda whole: whole[:-12],
    "overwritten": lambda whole: whole[:20] + b"\xff" * 40 + whole[60:],
    "of another checksum": lambda whole: whole[:-8] + b"\0" * 8,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_gzip_that_is_damaged_is_told_and_loses_nothing(
    sqlite_database: Database, route: Route, log: Path, damage: Callable[[bytes], bytes]
) -> None:
    delivered(route, 20)
    write(log, range(10))
    read(route)
    whole = gzip.compress(log.read_bytes() + "".join(map(line, range(10, 15))).encode())
    packed = log.with_name("access.log.1.gz")
    packed.write_bytes(damage(whole))
    write(log, range(15, 20), "w")
    with pytest.raises(LogUnready, match="cannot be unpacked"):
        read(route)
    packed.write_bytes(whole)
    read(route)
    assert found() == names(range(20))


# Two at once, and kills


def test_of_two_readers_at_once_one_stops(database: Database, route: Route, log: Path) -> None:
    delivered(route, 20)
    write(log, range(10))
    first = Reader(route, logs_of(route)[0])
    look = first._look  # noqa: SLF001 - ours

    def overtaken(*arguments: Any, **options: Any) -> None:
        look(*arguments, **options)
        first._look = look  # type: ignore[method-assign]  # noqa: SLF001 - ours
        read(route)

    first._look = overtaken  # type: ignore[method-assign]  # noqa: SLF001 - ours
    with pytest.raises(ReadElsewhere):
        first.read()
    assert found() == names(range(10))


POINTS: dict[str, tuple[Any, str]] = {
    "before the position moves": (reader_run.Run, "_move"),
    "before anything is recorded": (record_fetches.Recorder, "record"),
    "before the events": (record_fetches, "append"),
    "before the run is noted": (reader_run.Run, "_store"),
    "before the next batch": (log_reader.Reader, "_look"),
}


@pytest.mark.parametrize("when", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_killed_reader_loses_and_repeats_nothing(
    database: Database, route: Route, log: Path, monkeypatch: pytest.MonkeyPatch, point: str, when: int
) -> None:
    delivered(route, 60)
    write(log, range(60))
    monkeypatch.setattr(reader_run, "AT_ONCE", 10)
    monkeypatch.setattr(blocks.blocks, "__kwdefaults__", {"skipping": False, "size": 2000})
    connections.close_all()
    owner, name = POINTS[point]
    pid = os.fork()
    if pid == 0:
        _read_and_die(route, owner, name, when)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert len(found()) < 60
    read(route)
    assert found() == names(range(60))
    assert Event.objects.filter(kind="acknowledged").count() == 60


def _read_and_die(route: Route, owner: Any, name: str, when: int) -> None:
    real, calls = getattr(owner, name), iter(range(1, 100))

    def die(*arguments: Any, **options: Any) -> Any:
        if next(calls) == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)

    setattr(owner, name, die)
    try:
        read(route)
    finally:
        os._exit(9)


def test_failed_commit_leaves_the_position_where_it_was(
    database: Database, route: Route, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(route, 10)
    write(log, range(10))
    with monkeypatch.context() as patch:
        patch.setattr(record_fetches, "append", _cut_off)
        with pytest.raises(RuntimeError, match="cut off"):
            read(route)
    assert (found(), LogReading.objects.count(), LogPosition.objects.get().marks) == ([], 0, [])
    read(route)
    assert found() == names(range(10))


@pytest.mark.sqlite_only
def test_figures_of_a_commit_that_failed_once_are_not_told_twice(
    database: Database, route: Route, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(route, 10)
    write(log, range(10))
    store, calls = reader_run.Run._store, []  # noqa: SLF001 - ours

    def fail_once(run: reader_run.Run) -> None:
        store(run)
        calls.append(run)
        if len(calls) == 1:
            raise RuntimeError("cut off")

    monkeypatch.setattr(reader_run.Run, "_store", fail_once)
    monkeypatch.setattr(reader_run, "AT_ONCE", 1)  # so that what failed is retried by the same run
    with pytest.raises(RuntimeError, match="cut off"):
        read(route)
    read(route)
    rows = LogReading.objects.all()
    assert (sum(row.lines for row in rows), sum(row.acknowledged for row in rows)) == (10, 10)
    assert found() == names(range(10))


def _cut_off(_: Any) -> None:
    raise RuntimeError("cut off")


# A reader of one's own


class OwnReader(LogLineReader):
    """Lines as `folder,name,user`."""

    def read(self, line: bytes) -> Request | None:
        folder, name, user = line.split(b",")
        return Request(NOW, "h", user.decode(), "GET", b"/results/%b/%b" % (folder, name), 200, SIZE)


def test_log_line_reader_of_ones_own(
    sqlite_database: Database, log: Path, route: Route, tmp_path: Path
) -> None:
    delivered(route, 2)
    log.write_text("dig,dig-0.pdf,c\nnonsense\ndig,dig-1.pdf,other\n")
    run = read(route_of(tmp_path, log, format=f"{__name__}.OwnReader"))
    assert (run.acknowledged, run.accesses, run.unreadable) == (1, 1, 1)


def test_start_of_two_kinds_of_ids_undoes_nothing(sqlite_database: Database, route: Route) -> None:
    delivered(route, 2)
    mine, other = Delivery.objects.order_by("id")
    another = Arrival.objects.get()
    another.id = "B" * 26
    another.save(force_insert=True)
    Delivery.objects.filter(id=other.id).update(arrival=another)
    for number, delivery in (("B1", mine), ("C1", other)):
        Acknowledgment.objects.create(
            id=number, delivery=delivery, user="c", address="", at=NOW, log="", line=b"", recorded_at=NOW
        )
    with pytest.raises(NotAcknowledged, match="an acknowledgment's id and an arrival's"):
        undo("B", "our own test", "me")
    assert [row.id for row in undo("B1", "our own test", "me")] == ["B1"]
    assert [row.id for row in undo("BB", "our own test", "me")] == ["C1"]
