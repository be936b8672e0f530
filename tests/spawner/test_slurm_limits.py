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


def limit(text: str, job: Job) -> str:
    return slurm_limits.limit(text, slurm_limits.associations(text), job)


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
    found = limit(TEXT, waiting(reason))
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
    assert said in limit(line, waiting(reason))


def test_a_limit_of_another_group_class_or_person_is_nobodys():
    assert limit(TEXT, waiting("AssocGrpCpuLimit", account="fu.l")) == ""
    assert limit(TEXT, waiting("QOSMaxCpuPerUserLimit", qos="loose")) == ""
    assert limit(TEXT, waiting("QOSMaxCpuPerUserLimit", user="bhbob")) == ""


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
    limit(text, waiting(reason))


def account(name: str, above: str = "", limits: str = "cpu=N(2),mem=N(200)", user: str = "") -> str:
    more = f"Partition= Priority=0 ID=4 ParentAccount={above} Lft=7 GrpTRES={limits} GrpTRESMins=cpu=N(0)"
    return f"ClusterName=c Account={name} UserName={user} {more}\n"


ROOT = account("root")
TOP = account("top", "root(1)", "cpu=64(60),mem=N(200)")
FULL = account("full", "top(3)")
WAITS = waiting("AssocGrpCpuLimit")


def asks_above(text: str, job: Job = WAITS) -> bool:
    return slurm_limits.asks_above(slurm_limits.associations(text), job)


def test_the_limit_of_an_account_above_is_said_where_it_is_the_one_that_is_used_up():
    assert "your group's limit of 64 cores" in limit(FULL + TOP + ROOT, WAITS)
    assert "your group's limit of 64 cores" in limit(TOP + account("full", "top(3)", "cpu=9(2)"), WAITS)
    assert "your group's limit of 9 cores" in limit(TOP + account("full", "top(3)", "cpu=9(6)"), WAITS)
    assert "your group's limit of 9 cores" in limit(TOP + account("full", "top(3)", "cpu=9(5)"), WAITS)
    assert limit(FULL + ROOT, WAITS) == ""


def test_the_limit_of_a_person_in_the_group_is_the_persons_own():
    mine = account("full", limits="cpu=2(1)", user="bhanna(4201)")
    assert limit(mine + FULL + TOP, WAITS).startswith("your own limit of 2 cores")
    assert "64 cores" in limit(mine.replace("bhanna", "bhbob") + FULL + TOP, WAITS)


def test_accounts_above_are_asked_for_only_where_the_limit_may_be_theirs():
    assert asks_above(FULL)
    assert asks_above(account("full", "top(3)", "cpu=9(6)"))
    assert not asks_above(account("full", "top(3)", "cpu=9(9)"))
    assert not asks_above(FULL + TOP + ROOT)
    assert not asks_above("")
    assert not asks_above(FULL, waiting("QOSGrpCpuLimit"))
    assert not asks_above(FULL, waiting("Priority"))


def test_accounts_that_are_above_each_other_have_an_end():
    text = account("full", "top(3)") + account("top", "full(4)")
    assert limit(text, WAITS) == ""
    assert not asks_above(text)
