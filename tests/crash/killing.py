"""Runs of a scenario: undisturbed, and killed at one step, then taken up again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import promises
from laboratory import DRAIN, Laboratory, Result, Step, Traced
from promises import LISTINGS, Ending, File
from remote import REMOTE
from scenarios import SCENARIOS, Scenario
from stepping import Point

RESTARTS = 4
REPEATED = 4
TRIES = 3
FIRST = "first"  # the scenario that has every step of a start, and the making of keys
_TRIAL = re.compile(r"-probe-|(^|/)trial\.")


@dataclass
class Trial:
    """One scenario in one laboratory, with what happens when nothing disturbs it."""

    laboratory: Laboratory
    scenario: Scenario

    @cached_property
    def undisturbed(self) -> tuple[list[Step], Ending]:
        """The steps that are counted, and what is left at the end."""
        if not self.laboratory.has(self.scenario.name):
            self.laboratory.begin()
            self._choose()
            self.scenario.before(self.laboratory)
            self.laboratory.save(self.scenario.name)
        self.begin()
        run = self.laboratory.step(self.scenario.commands)
        assert run.status == 0 and run.results, f"the run without a crash went wrong: {run}"
        end = self.ending()
        promises.is_tidy(end)
        return run.steps, end

    def begin(self) -> None:
        """The state before the scenario's commands."""
        self._choose()
        self.laboratory.restore(self.scenario.name)

    def _choose(self) -> None:
        self.laboratory.settings, self.laboratory.environment = dict(self.scenario.settings), {}

    @property
    def points(self) -> list[Point | int]:
        """Every point at which the scenario can be stopped here."""
        return [point for point, _ in self.ordered]

    def thinned(self, points: list[Point | int]) -> list[Point | int]:
        """All that are the scenario's own, and every REPEATED-th of those that another scenario has, too; of the pages
        that SQLite writes one after the other, which are one step to everybody else, the first."""
        pages = self._later_pages()
        points = [point for point in points if point not in pages]
        elsewhere = self._elsewhere()
        others = [point for point in points if point in elsewhere][::REPEATED]
        return [point for point in points if point not in elsewhere or point in others]

    def _later_pages(self) -> set[Point | int]:
        """The second and later ones of writes to one file of SQLite, between which a process does nothing else. Before
        the first nothing is written, and the step after the last finds all written: both stay."""
        order = self.ordered
        return {
            point
            for (_, before), (point, step) in pairwise(order)
            if step.is_page and before.is_page and before.about == step.about
            if before.point.task == step.point.task
        }

    def _elsewhere(self) -> set[Point | int]:
        """The steps that another scenario has, too: all of its own there, whatever the arrivals are. With PostgreSQL
        these are all but what is sent to it: SQLite's scenario of this name has them."""
        if self.laboratory.server:
            return {point for point, step in self.ordered if not step.call.startswith("send")}
        if self.scenario.until:
            own = set(self._own())
            return {point for point in self.points if point not in own}
        if self.scenario.name == FIRST:
            return set()
        return {point for point, step in self.ordered if "/var/keys" in step.about} | self._trials()

    def _trials(self) -> set[Point | int]:
        """What a start tries out on the file systems, up to the worker's lock."""
        order = self.ordered
        begin = next((at for at, (_, step) in enumerate(order) if _TRIAL.search(step.about)), 0)
        end = next((at for at, (_, step) in enumerate(order) if "/workers/" in step.about), 0)
        return {point for point, _ in order[begin:end]}

    @property
    def ordered(self) -> list[tuple[Point | int, Step]]:
        """The steps here, each with its point, in the order of threads and their steps."""
        steps = [step for step in self.undisturbed[0] if not step.request]
        if self.scenario.shared:
            return list(enumerate(steps, 1))
        return [(step.point, step) for step in sorted(steps, key=lambda step: step.point)]

    def _own(self) -> list[Point]:
        order = [step for _, step in self.ordered]
        begin = next(at for at, step in enumerate(order) if "/workers/" in step.about)
        end = next(at for at, step in enumerate(order) if at > begin and step.about == self.scenario.until)
        return [step.point for step in order[begin:end]]

    @property
    def requests(self) -> list[str]:
        """Every request to a server at which it can be stopped, by name; sorted, since some are under way at once."""
        steps, _ = self.undisturbed
        return sorted(step.request for step in steps if step.request)

    def ending(self) -> Ending:
        return promises.ending(self.laboratory, self.laboratory.do(*LISTINGS))

    def stop(self, point: Point | int | str) -> tuple[Traced, dict[str, File]]:
        """Begin, and stop just before the point; the run so far, and what was published when it began.

        A run in which another step came there (a connection that took one packet more) is none that counts, and is
        made again; fails when all are such.
        """
        for _ in range(TRIES):
            self.begin()
            before = promises.published(self.laboratory.product)
            run = self.laboratory.step(self.scenario.commands, at=point)
            if run.stopped and self._is_expected(point, run):
                return run, before
            if run.stopped:
                self.laboratory.kill()
        raise AssertionError(
            f"no run stops at {point} as the undisturbed one does; the last one: {run.steps[-3:]}"
        )

    def _is_expected(self, point: Point | int | str, run: Traced) -> bool:
        steps, _ = self.undisturbed
        expected = [step.call for step in steps if step.point == point]
        return not isinstance(point, Point) or [run.steps[-1].call] == expected

    def kill(self, point: Point | int | str) -> str:
        """Kill at one point, restart, and check every promise; returns the step at which it was."""
        _, undisturbed = self.undisturbed
        product = self.laboratory.product
        run, before = self.stop(point)
        self.laboratory.kill()
        try:
            promises.nothing_is_lost(product, self.scenario.dropped)
            promises.nothing_is_partial(product, undisturbed)
            after = promises.published(product)
            promises.nothing_is_changed(before, after)
            found = self._restart()
            promises.nothing_is_changed(after, promises.published(product))
            promises.nothing_is_lost(product, self.scenario.dropped)
            promises.is_tidy(found)
            promises.delivered_once(found)
            promises.equal(found, undisturbed)
        except AssertionError as error:
            error.add_note(f"{self.scenario.name}: killed before {run.steps[-1]}")
            raise
        return str(run.steps[-1])

    def cut(self, request: str) -> None:
        """Cut the connection at one request: the process goes on by itself, and all ends as if nothing had been."""
        _, undisturbed = self.undisturbed
        product = self.laboratory.product
        _, before = self.stop(request)
        try:
            ended = self.laboratory.cut(request)
            assert ended.status == 0 and not any(result.status for result in ended.results), ended.results
            assert not list(self.laboratory.marks.iterdir()), "the connection was not cut"
            found = self.ending()
            promises.nothing_is_changed(before, promises.published(product))
            promises.is_tidy(found)
            promises.delivered_once(found)
            promises.equal(found, undisturbed)
        except AssertionError as error:
            error.add_note(f"{self.scenario.name}: cut at {request}")
            raise

    def _restart(self) -> Ending:
        for attempt in range(RESTARTS):
            again = self.scenario.again if not attempt else [DRAIN]
            *ran, arrivals, history, events, verify = self.laboratory.do(*again, *LISTINGS)
            for result in ran:
                assert "fault in dropslot" not in result.err, result.err
            if all(row["state"] in ("done", "failed") for row in arrivals.objects):
                return promises.ending(self.laboratory, [arrivals, history, events, verify])
        raise AssertionError(f"not quiet after {RESTARTS} restarts: {_told(ran)} {arrivals.out}")


def _told(results: list[Result]) -> str:
    return " ".join(result.out + result.err for result in results)


def trial_of(laboratory: Laboratory, name: str) -> Trial:
    return Trial(laboratory, (SCENARIOS | REMOTE)[name])
