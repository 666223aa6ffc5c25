"""Deliveries to a server, stopped at their requests: killed there, cut off there, or taken over and woken up.

The server is Debian's sshd. Steps are the requests that change something, just before each is sent and just after.
Steps here, of files and of the database, are those of every arrival, and `test_kill` kills at each of them. What would
take long is sampled, in the same way in each run: where names are given all are taken, of the rest every so-many-th.
"""

from __future__ import annotations

import pytest

from killing import Trial, trial_of
from laboratory import Laboratory
from remote import REMOTE
from stepping import Point
from test_fencing import of_a_living_worker, overtake

SHARDS = 2
HERE = 16  # every sixteenth step of files and of the database
KILLED = {"server-new-target": 1, "server-taken-names": 3, "server-and-folder": 4, "server-parted": 4}
CUT = {"server-new-target": 6, "server-taken-names": 6, "server-and-folder": 8, "server-parted": 8}


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_killed_at_requests(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    points = [*some(before(trial), KILLED[name]), *trial.points[::HERE]][shard::SHARDS]
    covered = [trial.kill(point) for point in points]
    assert len(covered) > 10


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_cut_at_requests(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    requests = some(trial.requests, CUT[name])[shard::SHARDS]
    assert len(requests) > 8
    for request in requests:
        trial.cut(str(request))


@pytest.mark.parametrize("shard", range(SHARDS))
def test_woken_after_a_takeover_at_requests(remote_laboratory: Laboratory, shard: int) -> None:
    trial = trial_of(remote_laboratory, "server-new-target")
    lives = while_it_lives(trial)
    requests = some([request for request in before(trial) if request in lives], 3)
    points = [*requests, *of_a_living_worker(trial)[::HERE]][shard::SHARDS]
    assert len(points) > 8
    for point in points:
        overtake(trial, point)


def some(requests: list[str], every: int) -> list[Point | int | str]:
    """All that give names; of the others a sample, and a smaller one of the trial how names are given."""
    names = [request for request in requests if _gives_names(request)]
    trial = [request for request in requests if "naming-x" in request]
    rest = [request for request in requests if request not in names and request not in trial]
    return [*names, *rest[::every], *trial[:: 4 * every]]


def _gives_names(request: str) -> bool:
    return request.removeprefix("sent ").startswith(("LINK", "RENAME")) and "naming-x" not in request


def before(trial: Trial) -> list[str]:
    """The steps before requests; those after them are, for a kill, those before the next ones. Syncs change nothing
    that anybody sees."""
    return [request for request in trial.requests if not request.startswith(("sent ", "FSYNC"))]


def while_it_lives(trial: Trial) -> set[str]:
    """Requests that come while the worker has its lock."""
    steps, _ = trial.undisturbed
    locks = [at for at, step in enumerate(steps) if "/workers/" in step.about]
    return {step.request for step in steps[locks[0] : locks[-1]]}
