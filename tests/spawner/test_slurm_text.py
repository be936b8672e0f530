"""What Slurm 22.05 printed, here as it did."""
# ruff: noqa: E501 - so do its lines

import doctest
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamhub.spawner.sites import slurm_text
from beamhub.spawner.sites.queue import Stage
from beamhub.spawner.sites.slurm_text import CutOff

QUEUE = """\
3|PENDING|root|low|N/A|N/A|4294901758||physics|normal|ReqNodeNotAvail, UnavailableNodes:ccn2
4|PENDING|nobody|low,short|1795427243|1795513643|4294901757||(null)|(null)|BeginTime
2|PENDING|root|low|N/A|N/A|0|||normal|JobHeldUser
1|RUNNING|root|low|1795427123|1795513523|4294901759|ccn4|physics|normal|None
10011_1|COMPLETING|anna|low|1795427123|1795513523|1|ccn[1-3]|physics|normal|a | b
"""
NODES = """\
ccn2                |low                 |up                  |down*               |0/0/64/64           |200000              |0                   |(null)              |gpu:0               |1-00:00:00          |
ccn4                |short*              |up                  |mixed               |3/61/0/64           |200000              |300                 |gpu:a100:4          |gpu:a100:2(IDX:0-1) |2:00:00             |
ccn4                |closed              |down                |mixed               |3/61/0/64           |200000              |300                 |gpu:a100:4          |gpu:a100:2(IDX:0-1) |infinite            |
garbage
"""
ENDED = (
    "JobId=7 JobName=bh-h-1-0123456789 UserId=anna(1003) GroupId=anna(1003) MCS_label=N/A Priority=1 Nice=0 Account=(null) "
    "QOS=(null) JobState={} Reason={} Dependency=(null) Requeue=0 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={} "
    "RunTime=00:00:01 StartTime=2026-11-23T09:45:23 EndTime=2026-11-23T09:45:24"
)


def test_its_examples_are_true():
    assert doctest.testmod(slurm_text).failed == 0


def test_our_jobs_are_read_and_of_all_others_only_the_priorities_of_those_that_wait():
    found = slurm_text.queue(QUEUE, {"1", "3", "4", "10011_1"})
    assert {number: (one.stage, one.reason) for number, one in found.jobs.items()} == {
        "1": (Stage.RUNNING, "None"),
        "3": (Stage.WAITING, "ReqNodeNotAvail, UnavailableNodes:ccn2"),
        "4": (Stage.WAITING, "BeginTime"),
        "10011_1": (Stage.ENDING, "a | b"),
    }
    assert found.jobs["3"].start is None
    assert found.jobs["1"].end - found.jobs["1"].start == 24 * 3600
    assert found.jobs["1"].node == "ccn4"
    assert found.waiting == {"low": [0, 4294901757, 4294901758], "short": [4294901757]}
    assert found.before(found.jobs["4"]) == 0
    assert found.planned == {
        "low": [float("inf")]
    }  # that which may not begin yet, and that which is held, do not count


def test_a_queue_that_was_cut_off_is_no_answer():
    with pytest.raises(CutOff):
        slurm_text.queue(QUEUE[:-20], {"1"})
    assert slurm_text.queue("", {"1"}).jobs == {}


@given(st.text(st.sampled_from("|\n0123456789 PENDING/A:-,*" + string.ascii_letters)))
def test_no_output_breaks_the_reading(text):
    slurm_text.queue(text + "\n", {"1"})
    slurm_text.nodes(text)
    slurm_text.record(text)
    slurm_text.why_refused(text)
    slurm_text.why_waiting(text)
    slurm_text.why_ended(text, text, text)


def test_what_is_free_on_each_node_of_each_partition():
    down, up, closed = slurm_text.nodes(NODES)
    assert (down.up, up.up, closed.up) == (False, True, False)
    assert (up.name, up.partition, up.cores, up.memory_mb, up.gpus, up.longest_s) == (
        "ccn4",
        "short",
        61,
        199700,
        2,
        7200.0,
    )
    assert closed.longest_s is None
    assert (up.default, closed.default) == (True, False)


@pytest.mark.parametrize("state", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"])
def test_states_of_waiting(state):
    assert slurm_text.stage(state) is Stage.WAITING


@pytest.mark.parametrize("state", ["RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"])
def test_states_of_a_job_that_is_alive(state):
    assert slurm_text.stage(state) is Stage.RUNNING


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("TIMEOUT", "0:0", "Its time was over"),
        ("NODE_FAIL", "0:0", "computer that it ran on failed"),
        ("PREEMPTED", "0:0", "goes before yours"),
        ("OUT_OF_MEMORY", "0:125", "more memory than it had"),
        ("FAILED", "0:9", "killed there (signal 9)"),
        ("FAILED", "137:0", "killed there (signal 9)"),
        ("FAILED", "0:53", "log could not be written"),
        ("FAILED", "3:0", "ended with code 3"),
        ("CANCELLED", "0:0", "cancelled in the batch system"),
    ],
)
def test_how_a_job_ended_is_said_in_a_sentence(state, code, said):
    record = slurm_text.record(ENDED.format(state, "None", code))
    assert slurm_text.stage(record["JobState"]) is Stage.ENDED
    assert said in slurm_text.why_ended(record["JobState"], record["Reason"], record["ExitCode"])


def test_a_record_that_says_something_twice_is_not_believed():
    forged = ENDED.format("RUNNING", "None", "0:0").replace("JobName=", "JobName=x JobState=COMPLETED ")
    assert "JobState" not in slurm_text.record(forged)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sbatch: error: invalid partition specified: nopart\nInvalid partition name specified",
            "queue that the operator",
        ),
        ("Requested time limit is invalid (missing or exceeds some limit)", "that much time"),
        ("Node count specification invalid", "as large as that"),
        ("CPU count per node can not be satisfied\nRequested node configuration is not available", "as large as that"),
        ("Invalid generic resource (gres) specification", "no such GPUs"),
        ("Invalid account or account/partition combination specified", "your account may not compute"),
        ("Invalid qos specification", "class of service"),
        ("Invalid feature specification", "nodes that are not there"),
        ("User's group not permitted to use this partition", "your groups may not"),
        ("Required partition not available (inactive or drain)", "switched off"),
        ("Access denied to requested reservation", "reservation"),
        ("Requested reservation is invalid", "reservation"),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", "does not answer"),
        ("Batch job submission failed: Socket timed out on send/recv operation", "does not answer"),
        ("Batch job submission failed: Protocol authentication error", "does not know the Hub's computer"),
        (
            "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, the user's size)",
            "limit is used up",
        ),
        ("More processors requested than permitted", "as large as that"),
        ("Memory specification can not be satisfied", "as large as that"),
        ("Invalid node name specified", "nodes that are not there"),
        ("Pathname of a file, directory or other parameter too long", "wrote for all jobs"),
        ("sbatch: error: This does not look like a batch script.  The first line must start with #!", "wrote for all"),
        ("sbatch: error: Batch script is empty!", "wrote for all jobs"),
        ("sbatch: error: Batch script contains DOS line breaks (\\r\\n)", "wrote for all jobs"),
        ("sbatch: unrecognized option '--x'", "does not know"),
        ("sbatch: error: Invalid --time specification", "does not know"),
        ("Batch job submission failed: Rate limit exceeded, please retry momentarily", "too much to do"),
        ("sbatch: fatal: Unable to process configuration file", "does not find the batch system"),
        ("sbatch: fatal: Could not establish a configuration source", "does not find the batch system"),
        ("sbatch: error: get_addr_info: getaddrinfo() failed: Name or service not known", "does not find"),
        ("sbatch: error: AssocMaxSubmitJobLimit\nJob violates accounting/QOS policy (job submit limit)", "used up"),
        ("something that nobody has seen", "did not take it"),
    ],
)
def test_each_refusal_is_said_in_words(text, said):
    assert said in slurm_text.why_refused(text)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Resources", "free nodes"),
        ("Priority", "other jobs come first"),
        ("QOSMaxCpuPerUserLimit", "limit is used up"),
        ("AssocGrpCpuLimit", "limit is used up"),
        ("AssocGrpCPUMinutesLimit", "time for computing"),
        ("AssocMaxWallDurationPerJobLimit", "limit for one job"),
        ("QOSMaxCpuPerJobLimit", "limit for one job"),
        ("AssocMaxJobsLimit", "as many jobs"),
        ("AssocGrpJobsLimit", "as many jobs"),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance"),
        ("ReqNodeNotAvail, UnavailableNodes:ccn2", "down or reserved"),
        ("JobHeldUser", "held back"),
        ("PartitionDown", "switched off"),
        ("Licenses", "licences"),
        ("New reason", "the batch system says 'New reason'"),
    ],
)
def test_each_reason_to_wait_is_said_in_words(reason, said):
    assert said in slurm_text.why_waiting(reason)


def test_whether_jobs_are_hidden_is_read_from_the_configuration():
    assert slurm_text.hides_jobs("Prolog = (null)\nPrivateData             = jobs,nodes\nX = jobs\n")
    assert not slurm_text.hides_jobs("PrivateData             = none\nX = jobs\n")
    assert not slurm_text.hides_jobs("PrivateData             = usage\n")


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("", "sacctmgr -i add user hub account=root adminlevel=Operator"),
        ("None", "sacctmgr -i modify user hub set adminlevel=Operator"),
        (None, "take jobs out of PrivateData"),
    ],
)
def test_what_lets_an_account_see_all_jobs_is_said(level, said):
    assert said in slurm_text.why_hidden("hub", level)


@pytest.mark.parametrize("level", ["Operator", "Administrator"])
def test_from_an_account_with_rights_no_job_is_hidden(level):
    assert slurm_text.why_hidden("hub", level) == ""
