"""Deliveries to a server, stopped at every request: killed there, cut off, or taken over and woken up.

The server is Debian's sshd. Steps here, of files and of the database, are those of every other arrival, and `test_kill`
kills at each of them; here every LOCAL_EVERYth is taken, for what is at the server when they are done.
"""

from __future__ import annotations

import pytest

from killing import Trial, trial_of
from laboratory import Laboratory
from remote import REMOTE
from stepping import Point
from test_fencing import of_a_living_worker, overtake

SHARDS = 2
LOCAL_EVERY = 4


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_killed_at_every_request(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    covered = [trial.kill(request) for request in trial.requests[shard::SHARDS]]
    covered += [trial.kill(point) for point in trial.points[shard :: SHARDS * LOCAL_EVERY]]
    assert len(covered) > 20


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("name", REMOTE)
def test_cut_at_every_request(remote_laboratory: Laboratory, name: str, shard: int) -> None:
    trial = trial_of(remote_laboratory, name)
    for request in trial.requests[shard::SHARDS]:
        trial.cut(request)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_woken_after_a_takeover_at_every_request(remote_laboratory: Laboratory, shard: int) -> None:
    trial = trial_of(remote_laboratory, "server-new-target")
    points = [*requests_of_a_living_worker(trial), *of_a_living_worker(trial)[::LOCAL_EVERY]]
    for point in points[shard::SHARDS]:
        overtake(trial, point)


def requests_of_a_living_worker(trial: Trial) -> list[Point | int | str]:
    """Those that come while the worker has its lock."""
    steps, _ = trial.undisturbed
    locks = [at for at, step in enumerate(steps) if "/workers/" in step.about]
    return [step.request for step in steps[locks[0] : locks[-1]] if step.request]
