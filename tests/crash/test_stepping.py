"""The tracer itself: it counts what strace counts, in every thread and child, and stops before the effect."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import stepping
from product import STUDY, Product
from promises import published
from stepping import Point, Tree
from tracing import Trace
from waiting import wait_until

_PROGRAM = """
import os, sys, threading
os.chdir(sys.argv[1])
def work(name):
    with open(name, "w") as stream:
        stream.write("text")
        stream.flush()
        os.fsync(stream.fileno())
    os.utime(name)
    os.chmod(name, 0o600)
    os.rename(name, name + ".new")
def family():
    work("first")
    thread = threading.Thread(target=work, args=("second",))
    thread.start()
    thread.join()
    pid = os.fork()
    if not pid:
        work("third")
        os._exit(0)
    os.waitpid(pid, 0)
    os.mkdir("folder")
    os.symlink("nowhere", "link")
    os.link("first.new", "hard")
    os.truncate("hard", 2)
    os.unlink("hard")
    os.rmdir("folder")
family()
"""


def family(folder: Path) -> Callable[[], None]:
    code = compile(_PROGRAM, "family", "exec")

    def run() -> None:
        sys.argv = ["family", str(folder)]
        exec(code, {})

    return run


def in_child(test: Callable[[], None]) -> None:
    """Trace in a process of its own: it waits for any child, and pytest may have others."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            test()
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must not run on in the code of its parent
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_it_counts_what_strace_counts(tmp_path: Path, strace: Callable[..., Trace]) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    names = ",".join(name for name in stepping.NUMBERS if name not in ("openat2", "fchmodat2"))
    command = [sys.executable, "-B", "-c", _PROGRAM, str(tmp_path / "one")]
    # `?`: a call that this strace or this machine does not have.
    calls = strace(command, calls=",".join(f"?{name}" for name in names.split(",")), cwd=tmp_path).calls
    expected = Counter(
        call.name
        for call in calls
        if call.name != "openat" or "O_CREAT" in call.args or "O_WRONLY" in call.args
    )
    counted = Counter[str]()

    def count() -> None:
        tree = Tree.start(family(tmp_path / "two"))
        assert not tree.go()
        counted.update(step.call for step in tree.steps)
        assert {step.point.task for step in tree.steps} == {0, 1, 2}
        assert counted == expected, (counted, expected)

    in_child(count)


def test_a_step_that_was_killed_has_not_happened_and_all_before_it_have(tmp_path: Path) -> None:
    def everywhere() -> None:
        tree = Tree.start(family(tmp_path))
        tree.go()
        points = [step.point for step in tree.steps]
        renames = [step.point for step in tree.steps if step.call == "rename"]
        assert len(points) > 20 and len(renames) == 3
        for point, made in zip(renames, ("first.new", "second.new", "third.new"), strict=True):
            for path in tmp_path.iterdir():
                path.unlink()
            again = Tree.start(family(tmp_path))
            assert again.go(until=point)
            again.freeze()
            again.kill()
            left = {path.name for path in tmp_path.iterdir()}
            assert made not in left and made.removesuffix(".new") in left
            assert again.status is not None and os.WTERMSIG(again.status) == signal.SIGKILL

    in_child(everywhere)


def test_a_frozen_tree_stands_still_and_goes_on(tmp_path: Path) -> None:
    def freeze() -> None:
        tree = Tree.start(family(tmp_path))
        assert tree.go(until=Point(2, 1))
        tree.freeze()
        assert not (tmp_path / "third").exists()
        assert not tree.go()
        assert tree.status == 0 and (tmp_path / "third.new").exists()

    in_child(freeze)


def test_a_task_that_is_killed_while_it_stands_at_a_step_has_ended_without_it(tmp_path: Path) -> None:
    waitpid = os.waitpid

    def killing(pid: int, options: int) -> tuple[int, int]:
        task, status = waitpid(pid, options)
        if status >> 16 == stepping.EVENT_SECCOMP:
            os.kill(task, signal.SIGKILL)
            wait_until(lambda: _state(task) == "Z", what="its end")
        return task, status

    def go() -> None:
        os.waitpid = killing
        tree = Tree.start(family(tmp_path))
        assert not tree.go()
        assert tree.status is not None and os.WTERMSIG(tree.status) == signal.SIGKILL
        assert not tree.steps and not list(tmp_path.iterdir())

    in_child(go)


def test_worker_that_sleeps_through_its_lease_is_taken_over(sqlite_product: Product) -> None:
    """The real thing: a lease of one second, a stopped process with its locks held, a second one, and the waking."""
    product = sqlite_product
    fifo = product.root / "gate"
    os.mkfifo(fifo)
    plugins = product.root / "plugins"
    plugins.mkdir()
    # A check that waits at the gate: the worker is stopped in the middle of a delivery.
    (plugins / "gates.py").write_text(
        "import os\n"
        "from dropslot.checks.base import Check\n"
        "class Gate(Check):\n"
        "    def check(self, arrival):\n"
        f"        if os.environ.get('AT_THE_GATE'): open({str(fifo)!r}).read()\n"
        "        return []\n"
    )
    product.configure({"study": STUDY | {"checks": [{"gates.Gate": True}]}}, lease="1s")
    product.drop("session", {"a": b"1", "d/b": b"2"})
    first = product.start("drain", "--now", AT_THE_GATE="yes")
    gate = _opened_for_writing(fifo)
    first.send_signal(signal.SIGSTOP)
    wait_until(lambda: _is_stopped(first.pid), what="the stop")

    def taken_over() -> bool:
        product.drain()  # ends with 0 also while the lease holds: what another worker has in hand is no failure
        return bool(product.arrivals("--state", "done"))

    wait_until(taken_over, deadline_seconds=60, what="the takeover")
    left = published(product)
    events = product.listing("events")
    assert [event["kind"] for event in events] == ["claimed", "started", "taken-over", "delivered"]
    first.send_signal(signal.SIGCONT)
    os.close(gate)
    wait_until(lambda: first.poll() is not None, what="the end of the first worker")
    assert published(product) == left
    assert product.listing("events") == events
    assert not product.held()
    assert not (product.studies / ".dropslot" / "stage").exists()
    assert {path.name for path in product.folder("done").iterdir()} == {"session"}


def _opened_for_writing(fifo: Path) -> int:
    """Opens when the reader has; never blocks for good."""

    def tried() -> int | None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK) + 1
        except OSError:
            return None

    opened = wait_until(tried, what="the worker at the gate")
    assert opened
    return opened - 1


def _is_stopped(pid: int) -> bool:
    return _state(pid) == "T"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
