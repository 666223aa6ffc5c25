"""A large arrival whose items two workers stage: one of them, or both, end or fall asleep at every step.

Each test takes every STRIDE-th step, the same in each run; with EVERY_STEP=1 in the environment all of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from django.db import connections
from django.db.models import F
from django.db.models.functions import Now

from databases import Database
from desk import Desk
from dropslot.arrivals.crew import ALONE, Crew
from dropslot.arrivals.delivery import pipeline
from dropslot.arrivals.delivery.shares.helping import Helper
from dropslot.arrivals.models import Arrival, Delivery, Share
from dropslot.arrivals.workers import holder, leases, recovery
from dropslot.audit.models import Event
from dropslot.core.states import ShareState, State
from promises import tree
from stepping import Point, Step, Tree

CONTENT = {
    f"{folder}item-{number}": f"{folder}{number}".encode() * 99
    for folder in ("", "up/")
    for number in range(5)
}
LEASE = timedelta(seconds=60)
STRIDE = 1 if os.environ.get("EVERY_STEP") else 5
Announce = Callable[[Arrival, int], None]


class Floor:
    """Workers of one installation. Each arrival goes to a folder of its own."""

    def __init__(self, base: Path) -> None:
        self.desk = Desk(base)
        self.config = self.desk.config.model_copy(update={"share_from": 300 << 10})
        self._count = 0

    def send(self, *, is_new: bool = True) -> tuple[str, Path]:
        """The id of a new arrival, and where it will be."""
        self._count += 1
        target = self.desk.base / "to" / f"p{self._count}"
        if not is_new:
            target.mkdir()
        return self.desk.send(f"p{self._count}-a", CONTENT), target

    def hold(self, arrival: str, announce: Announce | None) -> None:
        """Take the arrival, and go on with it to the end of the attempt."""
        is_dead = partial(holder.is_dead, self.config.data)
        with holder.holding(self.config.data) as worker:
            [taken] = leases.take_next(worker, LEASE, is_dead, limit=1)
            assert taken.id == arrival
            crew = Crew(announce=announce, worker=worker, is_dead=is_dead)
            pipeline.deliver_arrivals(self.config, [taken], crew if announce else ALONE)

    def help(self) -> None:
        """The life of a helper: one share."""
        with holder.holding(self.config.data) as worker:
            assert Helper(self.config, worker).help_once()
        connections.close_all()

    def forked(self, body: Callable[[], object]) -> Tree:
        connections.close_all()
        return Tree.start(body)


@pytest.fixture
def floor(database: Database, tmp_path: Path) -> Floor:
    return Floor(tmp_path)


def in_child(test: Callable[[], None]) -> None:
    """Trace in a process of its own: it waits for any child, and pytest may have others. With one processor, a second
    worker adds to the rate."""
    connections.close_all()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            test()
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must not run on in the code of its parent
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def whole(arrival: str, target: Path) -> None:
    """Delivered once, whole, and nothing is left of the work."""
    row = Arrival.objects.get(id=arrival)
    assert (row.state, Share.objects.count()) == (State.DONE, 0), (row.state, row.reason)
    digests = {path: sha256(data).hexdigest() for path, data in CONTENT.items()}
    there = {path: digest for path, digest in tree(target, [".dropslot"]).items() if digest != "/"}
    assert there == digests
    recorded = Delivery.objects.filter(arrival=arrival).values_list("stored_as", "sha256", "outcome")
    assert sorted(recorded) == sorted((path, digest, "delivered") for path, digest in digests.items())
    assert (
        not (target / ".dropslot" / "stage").exists() and not (target.parent / ".dropslot" / "stage").exists()
    )
    assert Event.objects.filter(arrival=arrival, kind="delivered").count() == 1


def steps_of_helper(floor: Floor) -> list[Step]:
    """What a helper does that nobody disturbs."""
    seen: list[Step] = []

    def help_all(_arrival: Arrival, _shares: int) -> None:
        helper = floor.forked(floor.help)
        assert not helper.go() and helper.status == 0
        seen.extend(helper.steps)

    arrival, target = floor.send()
    floor.hold(arrival, help_all)
    whole(arrival, target)
    assert any("/stage/" in step.about or step.about.startswith("item-") for step in seen)
    return seen


@pytest.mark.parametrize("is_new", [True, False])
def test_the_share_of_a_killed_helper_is_staged_by_the_holder_in_the_same_attempt(
    floor: Floor, is_new: bool
) -> None:
    def everywhere() -> None:
        points = [step.point for step in steps_of_helper(floor)][int(is_new) :: STRIDE]
        assert len(points) > 3
        for point in points:
            arrival, target = floor.send(is_new=is_new)
            floor.hold(arrival, partial(kill_helper, floor, point))
            whole(arrival, target)
            assert Event.objects.filter(arrival=arrival, kind="started").count() == 1

    in_child(everywhere)


def kill_helper(floor: Floor, point: Point, _arrival: Arrival, _shares: int) -> None:
    helper = floor.forked(floor.help)
    if helper.go(until=point):
        helper.freeze()
        helper.kill()


def test_a_helper_that_sleeps_voids_the_attempt_and_does_no_harm_when_it_wakes_up(floor: Floor) -> None:
    def everywhere() -> None:
        # From the first file to the last: in between it does not ask the database, whose lock would stop everybody.
        steps = steps_of_helper(floor)
        staging = [at for at, step in enumerate(steps) if "item-" in step.about or "/stage/" in step.about]
        points = [step.point for step in steps[staging[0] : staging[-1] + 1]]
        assert len(points) > 4
        for point in points[:: max(1, STRIDE // 2)]:
            sleeps(floor, point)

    in_child(everywhere)


def sleeps(floor: Floor, point: Point) -> None:
    helpers: list[Tree] = []

    def fall_asleep(_arrival: Arrival, _shares: int) -> None:
        helper = floor.forked(floor.help)
        assert helper.go(until=point)
        helper.freeze()
        helpers.append(helper)
        late = Share.objects.filter(state=ShareState.TAKEN)
        assert late.update(lease_until=Now() - timedelta(seconds=1)) == 1

    arrival, target = floor.send()
    floor.hold(arrival, fall_asleep)
    row = Arrival.objects.get(id=arrival)
    assert row.state == State.RETRYING and "does not answer" in row.reason[0], row.reason
    Arrival.objects.filter(id=arrival).update(due_at=None)
    floor.hold(arrival, None)
    whole(arrival, target)
    before = inodes(target)
    connections.close_all()
    [helper] = helpers
    assert not helper.go()
    assert helper.status == 0
    assert inodes(target) == before
    whole(arrival, target)


def inodes(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in folder.parent.rglob("*"):
        seen = path.stat()
        found[str(path)] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found


def test_when_holder_and_helper_end_at_once_the_next_start_delivers_once(floor: Floor) -> None:
    def both(arrival: str) -> None:
        floor.hold(arrival, lambda _arrival, _shares: floor.help())
        connections.close_all()

    def everywhere() -> None:
        arrival, target = floor.send()
        tree = floor.forked(partial(both, arrival))
        assert not tree.go() and tree.status == 0
        whole(arrival, target)
        shared = [step.point for step in tree.steps]
        for point in shared[:: 2 * STRIDE]:
            arrival, target = floor.send()
            tree = floor.forked(partial(both, arrival))
            if tree.go(until=point):  # a few steps less than in the first run, as the database grows
                tree.freeze()
                tree.kill()
            restart(floor, arrival)
            whole(arrival, target)

    in_child(everywhere)


def restart(floor: Floor, arrival: str) -> None:
    recovery.recover(floor.config)
    assert not Share.objects.exclude(arrival__epoch=F("epoch")).exists()
    if Arrival.objects.get(id=arrival).state not in (State.DONE, State.FAILED):
        floor.hold(arrival, None)
    recovery.recover(floor.config)
