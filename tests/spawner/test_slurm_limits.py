"""The limits that Slurm 22.05 showed, here as it did, but for fields that are not read."""
# ruff: noqa: E501 - so do its lines

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamhub.spawner.sites import slurm_limits
from beamhub.spawner.sites.queue import Job, Stage

TEXT = """\
Current Association Manager state
Association Records
ClusterName=bhc Account=full UserName= Partition= Priority=0 ID=8 ParentAccount=root(1) GrpTRES=cpu=2(2),mem=N(200),node=N(1),gres/gpu=N(0)
ClusterName=bhc Account=full UserName=bhanna(4201) Partition= Priority=0 ID=9 ParentAccount= GrpTRES=cpu=N(0),mem=N(0),node=N(0),gres/gpu=N(0)
QOS Records
QOS=tight(3) GrpTRES=cpu=N(1),mem=N(100),node=N(1),gres/gpu=N(0)  PreemptMode=OFF Priority=0 Account Limits= physics={MaxJobsPA=N(1) MaxJobsAccruePA=N(1) MaxSubmitJobsPA=N(2) MaxTRESPA=cpu=N(1),mem=N(100),node=N(1),gres/gpu=N(0)} User Limits= 4201={MaxJobsPU=N(1) MaxJobsAccruePU=N(1) MaxSubmitJobsPU=N(2) MaxTRESPU=cpu=1(1),mem=N(100),node=N(1),gres/gpu=N(0)}
"""


def waiting(reason: str, **more: str) -> Job:
    return Job(
        "7", Stage.WAITING, "PENDING", **{"user": "bhanna", "account": "full", "qos": "tight", "reason": reason, **more}
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("AssocGrpCpuLimit", "your group's limit of 2 cores is used up"),
        ("QOSMaxCpuPerUserLimit", "your own limit of 1 core is used up"),
        ("AssocGrpGRES", ""),
        ("QOSGrpMemLimit", ""),
        ("QOSMaxGRESPerUser", ""),
        ("Priority", ""),
    ],
)
def test_the_size_of_a_limit_is_said_where_there_is_one(reason, said):
    found = slurm_limits.limit(TEXT, waiting(reason))
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("limits", "reason", "said"),
    [
        ("cpu=64(64),mem=N(200),gres/gpu=4(4)", "AssocGrpGRES", "limit of 4 GPUs"),
        ("cpu=64(64),mem=2048(2048)", "AssocGrpMemLimit", "limit of 2048 MB"),
        ("cpu=N(64),node=1(1)", "AssocGrpNodeLimit", "limit of 1 node is"),
    ],
)
def test_each_kind_of_limit_has_its_unit(limits, reason, said):
    line = f"ClusterName=c Account=full UserName= Partition= GrpTRES={limits} GrpTRESMins=cpu=N(0)\n"
    assert said in slurm_limits.limit(line, waiting(reason))


def test_a_limit_of_another_group_class_or_person_is_nobodys():
    assert slurm_limits.limit(TEXT, waiting("AssocGrpCpuLimit", account="fu.l")) == ""
    assert slurm_limits.limit(TEXT, waiting("QOSMaxCpuPerUserLimit", qos="loose")) == ""
    assert slurm_limits.limit(TEXT, waiting("QOSMaxCpuPerUserLimit", user="bhbob")) == ""


@pytest.mark.parametrize(
    ("reason", "account", "waits"),
    [
        ("AssocGrpCpuLimit", "full", True),
        ("QOSMaxCpuPerUserLimit", "full", True),
        ("QOSMaxCpuPerJobLimit", "full", False),
        ("AssocGrpCPUMinutesLimit", "full", False),
        ("AssocMaxCpuPerUserLimit", "full", False),
        ("Priority", "full", False),
        ("AssocGrpCPULimit", "full", True),
        ("assocgrpcpulimit", "full", False),
        ("AssocGrpCpuLimit", "(null)", False),
        ("AssocGrpCpuLimit", "a,flags=users", False),
    ],
)
def test_only_limits_that_can_be_asked_for_are(reason, account, waits):
    assert slurm_limits.waits(waiting(reason, account=account)) is waits


def test_one_question_asks_for_all():
    jobs = [waiting("AssocGrpCpuLimit"), waiting("AssocGrpCpuLimit", account="one"), waiting("QOSGrpMemLimit")]
    assert slurm_limits.question(jobs)[-2:] == ["accounts=full,one", "qos=tight"]


@given(st.text(), st.sampled_from(["AssocGrpCpuLimit", "QOSMaxCpuPerUserLimit", "QOSGrpNodeLimit", "qosgrpnodelimit"]))
def test_no_answer_is_too_strange(text, reason):
    slurm_limits.limit(text, waiting(reason))
