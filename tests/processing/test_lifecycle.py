"""What can happen to runs, in any order: chance decides, and what must always hold is looked at after each step."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from services.measurements import NO_OUTPUT, NOON, arrival, every, fail, publish

from beamhub.catalog.records import Change, File, Run
from beamhub.processing.lifecycle import NotPossible
from beamhub.processing.query import RunQuery
from beamhub.processing.store import Store
from beamhub.processing.work import Claim, PlannedRun

ALL = ("red", "blue")
STEPS = 120


@dataclass
class Beamtime:
    """A store, those who were handed a run (also those who are late), and somebody who follows the feed."""

    store: Store
    chance: random.Random
    claims: list[Claim] = field(default_factory=list)
    ended: Counter = field(default_factory=Counter)
    told: list[Change] = field(default_factory=list)
    seen: dict[tuple[str, int], Run | File] = field(default_factory=dict)

    def arrive(self) -> None:
        path = f"{self.chance.choice(ALL)}/{self.chance.randrange(6)}.nxs"
        kind = self.chance.choice(["closed", "closed", "closed", "removed", "restored"])
        rules = ("radial", "sector") if kind == "closed" else ()
        self.store.intake([arrival(path, *rules, kind=kind), arrival(path, *rules, kind=kind)])

    def claim(self) -> None:
        new = self.store.claim(self.chance.randrange(1, 4))
        running = {claim.run for claim in new}
        assert {self.store.run(number).state for number in running} <= {"running"}
        assert len(running) == len(new)
        self.claims += new

    def end(self) -> None:
        if not self.claims:
            return
        claim = self.chance.choice(self.claims)
        before = self.store.run(claim.run)
        in_force = before.state == "running" and before.attempts == claim.attempt
        how = self.chance.randrange(4)
        if how < 2:
            took = publish(self.store, claim, Rg=1.5)
            self.ended[claim.run] += took
            assert took <= in_force
            assert took == (in_force and self.store.run(claim.run).state == "done")
        else:
            failure = replace(NO_OUTPUT, kind=self.chance.choice(["code", "data", "resource"]))
            more = {"at": NOON.replace(year=2000)} if how == 2 else {"quarantined": self.chance.random() < 0.5}
            assert fail(self.store, claim, failure, **more) == in_force

    def cancel_or_release(self) -> None:
        if runs := every(self.store, *ALL):
            do = self.chance.choice([self.store.cancel, self.store.release])
            with contextlib.suppress(NotPossible):
                do(self.chance.choice(runs).id)

    def give_up(self) -> None:
        if self.chance.random() < 0.2:
            self.store.recover()
        else:
            self.store.lost([claim.run for claim in self.claims[-2:]])

    def request(self) -> None:
        runs = [run.id for run in every(self.store, *ALL)]
        asked = self.chance.sample(runs, min(2, len(runs)))
        key = str(self.chance.randrange(8))
        first = self.store.request(key, "body", "alice", asked, again)
        assert self.store.request(key, "body", "alice", asked, again) == first

    def pause(self) -> None:
        self.store.pause("radial", self.chance.random() < 0.5)

    def look(self, kind: str, number: int) -> Run | File:
        return self.store.run(number) if kind == "run" else self.store.file(number).model_copy(update={"runs": []})

    def follow(self, limit: int) -> bool:
        """Take a part of the feed, and look at what it names, as a page does."""
        after = self.told[-1].seq if self.told else 0
        changes = self.store.changes(ALL, after, limit)
        for change in changes:
            self.seen[change.kind, change.id] = self.look(change.kind, change.id)
        self.told += changes
        return bool(changes)


def again(run) -> PlannedRun:
    return PlannedRun(run.rule, run.function, {"bins": 9})


def check(at: Beamtime) -> None:
    runs = every(at.store, *ALL)
    for name in ALL:
        of_one = [run for run in runs if run.proposal == name]
        count = at.store.count(RunQuery((name,)))
        assert count.states == Counter(run.state for run in of_one)
        assert count.count == len(of_one)
        assert at.store.count(RunQuery((name,), function="radial_function")).count == sum(
            run.function == "radial_function" for run in of_one
        )
    automatic = Counter((run.file.id, run.rule) for run in runs if run.cause == "automatic")
    assert set(automatic.values()) <= {1}
    assert max((run.seq for run in runs), default=0) <= at.store.head()


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_counters_are_right_and_the_feed_leads_to_what_is_there(store, seed):
    at = Beamtime(store, random.Random(seed))  # noqa: S311
    steps: list[Callable[[], None]] = [
        *(at.arrive, at.claim, at.claim, at.end, at.end, at.end),
        *(at.cancel_or_release, at.give_up, at.request, at.pause),
    ]
    for _ in range(STEPS):
        at.chance.choice(steps)()
        at.follow(limit=2)
        check(at)
    while at.follow(limit=2):
        pass
    runs = every(store, *ALL)
    assert {number for kind, number in at.seen if kind == "run"} == {run.id for run in runs}
    for (kind, number), thing in at.seen.items():
        assert thing == at.look(kind, number)
    assert [change.seq for change in at.told] == sorted(change.seq for change in at.told)
    assert {run.id for run in runs if run.state == "done"} == set(+at.ended)
    assert set(at.ended.values()) <= {0, 1}
    assert store.named_outputs() == {f"{run.proposal}/{run.id}/{run.attempts}" for run in runs if run.state == "done"}
