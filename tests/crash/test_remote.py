"""Deliveries to a server, stopped at their requests: killed there, cut off there, or taken over and woken up.

The server is Debian's sshd. `server-new-target` is killed before each request that changes something, and cut wherever
all is sent and nothing is answered; of the rest each SOME-th is taken, the same ones in each run. Steps here, of files
and of the database, are those of every arrival, and `test_kill` kills at each of them; so few are taken of them.
"""

from __future__ import annotations

import pytest

from killing import Trial, trial_of
from laboratory import Laboratory
from remote import REMOTE
from stepping import Point
from test_fencing import of_a_living_worker, overtake

SHARDS = 2
SOME = {"server-new-target": 4, "server-taken-names": 5, "server-and-folder": 7}
KILLED = {"server-new-target": 1, "server-taken-names": 2, "server-and-folder": 3}
HERE = 10


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_killed_at_requests(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    points = [*changing(trial)[:: KILLED[name]], *trial.points[::HERE]][shard::SHARDS]
    covered = [trial.kill(point) for point in points]
    assert len(covered) > 15


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_cut_at_requests(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    unanswered = [request for request in trial.requests if request.startswith("sent ")]
    some = [*unanswered, *changing(trial)[:: SOME[name]]][shard::SHARDS]
    assert len(some) > 10
    for request in some:
        trial.cut(request)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_woken_after_a_takeover_at_requests(remote_laboratory: Laboratory, shard: int) -> None:
    trial = trial_of(remote_laboratory, "server-new-target")
    points = [*while_it_lives(trial)[::2], *of_a_living_worker(trial)[::HERE]][shard::SHARDS]
    assert len(points) > 15
    for point in points:
        overtake(trial, point)


def changing(trial: Trial) -> list[Point | int | str]:
    """Requests without the moments when all is sent, which for a kill are those before the next request; and without
    syncs, which change nothing that anybody sees."""
    return [request for request in trial.requests if not request.startswith(("sent ", "FSYNC"))]


def while_it_lives(trial: Trial) -> list[Point | int | str]:
    """Changing requests that come while the worker has its lock."""
    steps, _ = trial.undisturbed
    locks = [at for at, step in enumerate(steps) if "/workers/" in step.about]
    lives = {step.request for step in steps[locks[0] : locks[-1]]}
    return [request for request in changing(trial) if request in lives]
