from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from beamhub.spawner.sites.judgement import Known, Verdict, judge
from beamhub.spawner.sites.queue import Job, Queue, Stage

ASKED = 100.0


def job(number: str, stage: Stage = Stage.RUNNING, **more) -> Job:
    return Job(number, stage, stage.name, **more)


def known(*numbers: str, **more) -> dict[str, Known]:
    return {f"job{number}": Known("anna", number, since=1.0, **more) for number in numbers}


def queue(*jobs: Job) -> Queue:
    return Queue({one.id: one for one in jobs})


def test_a_job_that_is_listed_is_there_and_one_whose_end_is_listed_ended():
    found = judge(known("1", "2"), queue(job("1"), job("2", Stage.ENDED)), ASKED, visible=True)
    assert found == {"job1": Verdict.THERE, "job2": Verdict.ENDED}


def test_a_state_that_nobody_knows_is_no_end():
    assert judge(known("1"), queue(job("1", Stage.OTHER)), ASKED, visible=True) == {"job1": Verdict.UNKNOWN}


def test_a_job_that_waits_again_after_it_ran_has_lost_what_ran():
    waiting = queue(job("1", Stage.WAITING))
    assert judge(known("1", ran=True), waiting, ASKED, visible=True) == {"job1": Verdict.BACK}
    assert judge(known("1"), waiting, ASKED, visible=True) == {"job1": Verdict.THERE}


def test_a_number_that_is_somebody_elses_now_says_nothing():
    assert judge(known("1"), queue(job("1", user="bob")), ASKED, visible=True) == {"job1": Verdict.UNKNOWN}
    assert judge(known("1"), queue(job("1", user="anna")), ASKED, visible=True) == {"job1": Verdict.THERE}


def test_a_job_that_is_not_listed_is_missing_only_where_all_jobs_are_shown():
    others = queue(job("2"))
    assert judge(known("1", "2"), others, ASKED, visible=True)["job1"] is Verdict.MISSING
    assert judge(known("1", "2"), others, ASKED, visible=False)["job1"] is Verdict.UNKNOWN


def test_a_job_that_was_submitted_after_the_question_is_not_missing():
    late = {name: replace(one, since=ASKED + 1) for name, one in known("1").items()}
    assert judge(late, queue(), ASKED, visible=True) == {"job1": Verdict.UNKNOWN}


def test_a_queue_in_which_most_jobs_are_missing_at_once_is_not_believed():
    assert set(judge(known("1", "2", "3"), queue(), ASKED, visible=True).values()) == {Verdict.VANISHED}
    two_of_five = judge(known("1", "2", "3", "4", "5"), queue(job("1"), job("2"), job("3")), ASKED, visible=True)
    assert [name for name, verdict in two_of_five.items() if verdict is Verdict.MISSING] == ["job4", "job5"]
    assert set(judge(known("1", "2"), queue(), ASKED, visible=True).values()) == {Verdict.MISSING}


def test_jobs_without_an_id_and_dead_ones_are_not_judged():
    some = {"new": Known("anna"), "old": Known("anna", "1", dead=True)}
    assert judge(some, queue(), ASKED, visible=True) == {}


@given(st.lists(st.sampled_from(list(Stage)), max_size=8), st.integers(0, 8), st.booleans())
def test_only_an_end_that_was_read_is_an_end(stages, missing, visible):
    jobs = [job(str(number), stage) for number, stage in enumerate(stages)]
    numbers = [one.id for one in jobs] + [f"m{number}" for number in range(missing)]
    found = judge(known(*numbers), queue(*jobs), ASKED, visible=visible)
    for one in jobs:
        assert (found[f"job{one.id}"] is Verdict.ENDED) == (one.stage is Stage.ENDED)
