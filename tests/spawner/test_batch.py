"""A cluster whose commands are a test's: what the real one cannot be made to say, or not often enough."""

import asyncio
import time
from pathlib import Path

import batchspawner
import pytest
from jupyterhub.spawner import Spawner
from traitlets.config import Config

from beamhub.spawner import moments
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites import batch, cancels, slurm
from beamhub.spawner.sites.judgement import Known
from beamhub.spawner.sites.queue import Stage
from beamhub.spawner.sites.site import HubSettings, Launch
from beamhub.spawner.sites.slurm import SlurmConfig, SlurmSite
from beamhub.spawner.sites.traits import refused_traits

ENDED = "JobId={0} JobName=x UserId=anna(4201) JobState={1} Reason=None ExitCode={2}"
UNKNOWN_ID = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
LINE = "{0}|{1}|anna|short|1795427123|1795513523|1|node1|physics|normal|None"


class Commands:
    """Scripts in the place of Slurm's commands; ``calls`` counts what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("squeue", "sinfo", "scontrol", "sacctmgr"):
            self.says(name, "true")

    def says(self, name: str, does: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.folder}/calls\n{does}\n')
        path.chmod(0o755)

    def queue(self, *lines: str) -> None:
        (self.folder / "queue.txt").write_text("".join(f"{line}\n" for line in lines))
        self.says("squeue", f"cat {self.folder}/queue.txt")

    def scontrol(self, job: str, ping: str = "echo 'Slurmctld(primary) at vm is UP'") -> None:
        self.says("scontrol", f'case "$*" in ping) {ping} ;; *config*) echo "PrivateData = none" ;; *) {job} ;; esac')

    def calls(self, name: str = "") -> list[str]:
        path = self.folder / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        return [line for line in found if f"/{name}" in line.split()[0]]


@pytest.fixture
def commands(tmp_path) -> Commands:
    return Commands(tmp_path)


@pytest.fixture
def site(commands) -> SlurmSite:
    config = SlurmConfig(kind="slurm", networks=["10.0.0.0/16"], commands=str(commands.folder), title="The cluster")
    commands.scontrol(UNKNOWN_ID)
    return SlurmSite("cluster", config, None, HubSettings("hub", commands.folder))


def name(number: int) -> str:
    return f"bh-hub-{number}-0123456789"


def knows(site: SlurmSite, *numbers: int) -> None:
    for number in numbers:
        site.known[name(number)] = Known("anna", str(number), since=moments.now() - 60)


FAILURES = {
    "controller down": ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", 1),
    "timed out": ("slurm_load_jobs error: Socket timed out on send/recv operation", 1),
    "munge": (
        "squeue: error: Munge encode failed\nslurm_load_jobs error: Protocol authentication error",
        1,
    ),
    "zero bytes": ("slurm_load_jobs error: Zero Bytes were transmitted or received", 1),
    "unexpected": ("slurm_load_jobs error: Unexpected message received", 1),
    "password": ("sudo: a password is required", 1),
    "rate limit": ("slurm_load_jobs error: Rate limit exceeded, please retry momentarily", 1),
    "no configuration": ("squeue: fatal: Could not establish a configuration source", 1),
    "name": ("squeue: error: get_addr_info: getaddrinfo() failed: Name or service not known", 1),
    "said, code 0": ("squeue: error: slurm_receive_msg: Insane message length", 0),
    "killed": ("Killed", 137),
    "segfault": ("", 139),
    "library": ("squeue: error while loading shared libraries: libslurmfull.so", 127),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.promise("batch system")
async def test_a_queue_that_cannot_be_read_ends_no_server(site, commands, failure):
    knows(site, 1, 2)
    commands.queue(LINE.format(1, "RUNNING"), LINE.format(2, "PENDING"))
    await site.snapshot()
    text, code = FAILURES[failure]
    commands.says("squeue", f"cat >&2 <<'X'\n{text}\nX\nexit {code}")
    for _ in range(20):
        await site.snapshot()
    assert not any(one.dead for one in site.known.values())
    assert site.estimate(None).kind == "down"
    commands.queue(LINE.format(1, "RUNNING"), LINE.format(2, "RUNNING"))
    await site.snapshot()
    assert [one.job.stage for one in site.known.values()] == [Stage.RUNNING] * 2
    assert site.down == ""


@pytest.mark.promise("batch system")
async def test_an_answer_that_is_cut_off_ends_no_server(site, commands):
    knows(site, 1, 2)
    commands.says("squeue", f"printf '%s\\n%s' '{LINE.format(1, 'RUNNING')}' '2|RUNN'")
    for _ in range(5):
        await site.snapshot()
    assert "cut off" in site.down
    assert not any(one.dead for one in site.known.values())


@pytest.mark.promise("batch system")
async def test_a_command_that_hangs_is_given_up_and_ends_no_server(site, commands, monkeypatch):
    monkeypatch.setattr(batch, "QUERY", 0.2)
    knows(site, 1)
    commands.says("squeue", "sleep 30")
    await site.snapshot()
    assert "did not come to an end" in site.down
    assert not site.known[name(1)].dead


@pytest.mark.promise("batch system")
async def test_an_empty_answer_without_an_error_ends_none_of_three(site, commands):
    knows(site, 1, 2, 3)
    commands.queue()
    for _ in range(10):
        await site.snapshot()
    assert not any(one.dead for one in site.known.values())
    commands.scontrol('echo "' + ENDED.format("$5", "TIMEOUT", "0:0").replace("JobId=$5", "JobId=$4") + '"')
    await site.snapshot()
    assert all(one.dead and one.over for one in site.known.values())


async def test_one_that_is_absent_twice_has_ended_while_the_controller_answers(site, commands):
    knows(site, 1, 2, 3, 4)
    commands.queue(*(LINE.format(number, "RUNNING") for number in (1, 2, 3)))
    await site.snapshot()
    assert not site.known[name(4)].dead
    await site.snapshot()
    assert [job for job, one in site.known.items() if one.dead] == [name(4)]


@pytest.mark.promise("batch system")
async def test_one_that_is_absent_while_the_controller_does_not_answer_itself_is_not_ended(site, commands):
    knows(site, 1, 2)
    commands.queue(LINE.format(1, "RUNNING"))
    commands.scontrol(UNKNOWN_ID, ping="echo 'Slurmctld(primary) at vm is DOWN'; exit 1")
    for _ in range(10):
        await site.snapshot()
    assert not site.known[name(2)].dead


@pytest.mark.promise("batch system")
async def test_where_jobs_are_hidden_absence_says_nothing(site, commands, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1)
    knows(site, 1, 2)
    commands.queue(LINE.format(1, "RUNNING"))
    commands.says(
        "scontrol",
        f'case "$*" in ping) echo " is UP" ;; *config*) echo "PrivateData = jobs" ;; *) {UNKNOWN_ID} ;; esac',
    )
    for _ in range(5):
        await site.snapshot()
    assert "adminlevel=Operator" in site.hidden
    assert not site.known[name(2)].dead


async def test_an_end_that_is_listed_counts_though_nothing_more_is_known(site, commands):
    knows(site, *range(1, 60))
    commands.queue(*(LINE.format(number, "TIMEOUT") for number in range(1, 60)))
    await site.snapshot()
    assert all(one.dead and one.over for one in site.known.values())
    assert len(commands.calls("scontrol")) <= 2 * batch.CONFIRMED + 2


async def test_a_number_that_belongs_to_somebody_else_is_neither_end_nor_life(site, commands):
    knows(site, 1, 2, 3)
    commands.queue(
        *(LINE.format(number, "RUNNING") for number in (1, 2)), LINE.format(3, "FAILED").replace("anna", "eve")
    )
    for _ in range(3):
        await site.snapshot()
    assert not site.known[name(3)].dead
    assert site.known[name(3)].job is None


async def test_one_server_that_cannot_be_told_keeps_no_other_from_being_told(site, commands):
    knows(site, 1, 2)
    heard = []
    site.listen(name(1), lambda: 1 / 0)
    site.listen(name(2), lambda: heard.append(2))
    commands.queue(LINE.format(1, "RUNNING"), LINE.format(2, "RUNNING"))
    await site.snapshot()
    assert heard == [2]


@pytest.mark.parametrize("servers", [10, 100, 1000])
async def test_the_number_of_questions_does_not_grow_with_the_servers(site, commands, monkeypatch, servers):
    clock = [1000.0]
    monkeypatch.setattr(moments, "now", lambda: clock[0])
    for number in range(1, servers + 1):
        site.known[name(number)] = Known("anna", str(number), since=0.0)
    commands.queue(*(LINE.format(number, "RUNNING") for number in range(1, servers + 1)))
    await site.snapshot()
    before = len(commands.calls())
    for _ in range(4 * 5):
        clock[0] += SlurmSite.interval
        await site.snapshot()
    assert (len(commands.calls()) - before) / 5 <= 5 + 0.5  # a minute; one for lost jobs is asked elsewhere
    assert all(one.job.stage is Stage.RUNNING for one in site.known.values())


def free(commands: Commands, cores: int) -> None:
    commands.says("sinfo", f"echo 'node1|short*|up|mixed|1/{cores}/0/64|200000|0|(null)|(null)|infinite|'")


async def test_when_a_start_would_be_is_told_by_free_nodes_else_by_the_plan_else_by_what_others_waited(
    site, commands, monkeypatch
):
    monkeypatch.setattr(batch, "CAPACITY", 0.0)
    free(commands, 8)
    await site.snapshot()
    assert site.estimate(plan()).kind == "now"
    free(commands, 1)
    await site.snapshot()
    assert site.estimate(plan()).kind == "unknown"
    for number, waited in ((1, 60), (2, 120), (3, 600)):
        site.known[name(number)] = Known("anna", str(number), since=moments.now() - 1000, cores=2)
        started = moments.of(moments.now()) - 1000 + waited
        commands.queue(LINE.format(number, "RUNNING").replace("1795427123", f"{started:.0f}"))
        await site.snapshot()
    told = site.estimate(plan())
    assert (told.kind, round(told.low_s, -1), round(told.high_s, -1)) == ("about", 60, 600)
    assert told.source == "what 3 starts waited lately"
    soon = moments.of(moments.now()) + 300
    commands.queue(LINE.format(9, "PENDING").replace("1795427123", f"{soon:.0f}"))
    await site.snapshot()
    told = site.estimate(plan())
    assert (told.kind, round(told.low_s, -1), round(told.high_s, -1)) == ("about", 300, 300)
    assert told.source == "the batch system's plan for 1 that wait"


# Cancelling


@pytest.fixture
def launcher(site, monkeypatch) -> list[dict]:
    """Answers each errand with the next of ``answers`` and keeps what was asked."""
    asked: list[dict] = []

    async def errand(user, request):
        asked.append(request)
        if site.refuses:
            raise CannotLaunch(site.refuses, "refused")
        return {"cleaned": True} if request.get("clean") else {}

    site.refuses = ""
    monkeypatch.setattr(site, "errand", errand)
    return asked


@pytest.mark.promise("batch system")
async def test_a_cancel_is_repeated_until_an_end_was_read(site, commands, launcher):
    knows(site, 1)
    site.refuses = "Unable to contact slurm controller"
    commands.scontrol('echo "' + ENDED.format("1", "RUNNING", "0:0") + '"')
    task = asyncio.ensure_future(site.cancels.run(name(1), site.known[name(1)]))
    await asyncio.sleep(2.5)
    site.refuses = ""
    assert len(launcher) >= 1
    assert not task.done()
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    await asyncio.wait_for(task, 10)
    assert site.known[name(1)].dead
    assert {one["verb"] for one in launcher} == {"cancel"}


async def test_a_cancel_of_a_job_that_nobody_knows_any_more_comes_to_an_end_also_where_jobs_are_hidden(
    site, commands, launcher
):
    knows(site, 1)
    site.hidden = "hidden"
    await asyncio.wait_for(site.cancels.run(name(1), site.known[name(1)]), 10)
    assert len(launcher) <= 3


async def test_a_lost_job_that_cannot_be_ended_is_not_tried_all_the_time(site, commands, launcher):
    (commands.folder / "names.txt").write_text(f"anna|{name(7)}\nbob|{name(7)}\nanna|x\nbob|mine\n")
    commands.says("squeue", f"cat {commands.folder}/names.txt")
    assert await site.jobs() == {name(7)}
    assert await site.remove(name(7))
    assert [one["verb"] for one in launcher] == ["cancel", "clean"] * 2
    assert await site.jobs() == set()
    site.refuses = "no"
    assert not await site.remove(name(7))


async def test_of_a_name_that_two_have_one_owners_job_can_be_removed(site, commands, monkeypatch):
    asked = []

    async def errand(user, request):
        asked.append((user, request["verb"]))
        return {}

    monkeypatch.setattr(site, "errand", errand)
    (commands.folder / "names.txt").write_text(f"anna|{name(7)}\nbob|{name(7)}\n")
    commands.says("squeue", f"cat {commands.folder}/names.txt")
    assert await site.jobs() == {name(7)}
    assert list(await site.about(name(7))) == ["anna", "bob"]
    assert await site.remove(name(7), "anna")
    assert asked == [("anna", "cancel"), ("anna", "clean")]


async def test_of_a_lost_job_it_is_known_whose_it_is_and_since_when_it_runs(site, commands):
    commands.says(
        "squeue",
        f"""case "$*" in
        *--user=*) echo 12 ;; *'%i|'*) echo '{LINE.format(12, "RUNNING")}' ;; *) echo 'anna|{name(7)}' ;; esac""",
    )
    assert await site.jobs() == {name(7)}
    assert await site.about(name(7)) == {"anna": 1795427123}
    commands.says("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert await site.about(name(7)) == {"anna": None}


async def test_why_not_all_jobs_are_seen_is_said(site, commands):
    assert site.unseen() == "whether it shows all jobs is not known"
    await site.snapshot()
    assert site.unseen() == ""
    commands.says("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    await site.snapshot()
    assert site.unseen() == "Unable to contact slurm controller"


@pytest.mark.parametrize("listening", [True, False])
async def test_a_cancel_looks_again_as_soon_as_the_job_says_that_its_server_ended(
    site, commands, launcher, monkeypatch, listening
):
    monkeypatch.setattr(cancels, "HEARS" if listening else "LOOKS", 60.0 if listening else (60.0,))
    knows(site, 1)
    site.known[name(1)].listening = listening
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    task = asyncio.ensure_future(site.cancels.run(name(1), site.known[name(1)]))
    await asyncio.sleep(0.5)
    assert not task.done()
    server = site.child_class()(job=name(1))
    server.told(listening=False, ended=-15)
    await asyncio.wait_for(task, 10)
    assert site.known[name(1)].dead


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_stop_has_the_files_removed_with_the_cancel_else_by_an_errand_of_their_own(
    site, commands, launcher, monkeypatch, says_so
):
    if not says_so:  # a launcher that was made before it could, or a folder that cannot be removed
        monkeypatch.setattr(site, "errand", _answers_nothing(launcher))
    knows(site, 1)
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    server = site.child_class()(job=name(1))
    await server.end()
    await server.clear()
    asked = [(one["verb"], one.get("clean")) for one in launcher]
    assert asked == [("cancel", True)] + [("clean", None)] * (not says_so)


async def test_only_the_first_cancel_removes_files_so_that_a_home_that_hangs_keeps_no_other_from_it(
    site, commands, launcher
):
    knows(site, 1)
    site.refuses = "the launcher did not come to an end"
    commands.scontrol('echo "' + ENDED.format("1", "RUNNING", "0:0") + '"')
    task = site.cancels.of(name(1), site.known[name(1)], clean=True)
    async with asyncio.timeout(20):
        while len(launcher) < 2:  # noqa: ASYNC110 - the test's own limit ends it
            await asyncio.sleep(0.05)
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    await asyncio.wait_for(task, 10)
    assert [one["clean"] for one in launcher] == [True] + [False] * (len(launcher) - 1)


async def test_files_of_a_job_whose_id_is_not_known_stay_since_its_submit_may_come_yet(site, commands, launcher):
    site.known[name(1)] = Known("anna", "")
    commands.says("squeue", "true")
    task = site.cancels.of(name(1), site.known[name(1)], clean=True)
    while not launcher:  # noqa: ASYNC110 - the test's own limit ends it
        await asyncio.sleep(0.05)
    task.cancel()
    assert [one["clean"] for one in launcher] == [False]


async def test_files_of_a_job_with_an_epilogue_stay_until_it_has_ended(site, commands, launcher):
    site.config = site.config.model_copy(update={"epilogue": "echo done"})
    knows(site, 1)
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    server = site.child_class()(job=name(1))
    await server.end()
    await server.clear()
    assert [(one["verb"], one.get("clean")) for one in launcher] == [("cancel", False), ("clean", None)]


def _answers_nothing(asked):
    async def errand(user, request):
        asked.append(request)
        return {}

    return errand


async def test_a_job_whose_server_ended_by_itself_is_cancelled_without_its_log(site, commands, launcher):
    knows(site, 1)
    commands.scontrol('echo "' + ENDED.format("1", "CANCELLED", "0:0") + '"')
    site.make_sure(name(1), site.known[name(1)])
    await asyncio.wait_for(asyncio.gather(*site.cancels._tasks.values()), 10)
    assert [(one["verb"], one["clean"]) for one in launcher] == [("cancel", False)]


async def test_a_job_that_says_that_its_server_listens_is_believed_before_the_queue_shows_it(site, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(moments, "now", lambda: clock[0])
    knows(site, 1)
    server = site.child_class()(job=name(1))
    assert await server.listens("10.0.0.1", 20000) is None
    server.told(listening=True, ended=None)
    assert await server.listens("10.0.0.1", 20000) is True
    clock[0] += 20
    assert await server.listens("10.0.0.1", 20000) is None  # the queue has had its time to show it
    site.known[name(1)].dead = True
    assert await server.listens("10.0.0.1", 20000) is None


@pytest.mark.promise("batch system")
async def test_while_nobody_can_say_whether_jobs_are_hidden_the_job_is_believed(site, commands, monkeypatch):
    server = site.child_class()(job=name(1))
    server.load_state({"id": "1", "user": "anna", "ran": True, "listening": True})
    assert await server.listens("10.0.0.1", 20000) is None  # it was not looked yet
    commands.queue()
    commands.says("sacctmgr", "echo 'sacctmgr: error: slurm_persist_conn_open: connection refused' >&2; exit 1")
    monkeypatch.setattr("os.geteuid", lambda: 1)
    commands.says("scontrol", 'case "$*" in *config*) echo "PrivateData = jobs" ;; *) exit 1 ;; esac')
    await site.snapshot()
    assert site.hidden is None
    assert await server.listens("10.0.0.1", 20000) is True
    server.told(listening=False, ended=-9)
    assert site.known[name(1)].dead


@pytest.mark.promise("access")
async def test_after_a_restart_of_the_hub_the_queue_has_to_show_a_job_before_anybody_is_led_to_its_port(site):
    server = site.child_class()(job=name(1))
    server.load_state({"id": "1", "user": "anna", "ran": True, "listening": True})
    assert await server.listens("10.0.0.1", 20000) is None


def plan(**changes) -> SpawnPlan:
    given = {
        "profile": "small", "title": "Small", "site": "cluster", "environment": "python", "programs": "", "image": "",
        "modules": (), "cores": 2, "memory_bytes": 2**30, "gpus": 0, "walltime_s": 90.0, "options": {},
    }  # fmt: skip
    return SpawnPlan(**(given | changes))


def asks(site: SlurmSite, asked: SpawnPlan, **traits: str) -> dict:
    server = site.child_class()(job=name(1), **traits)
    return server.asks(Launch(name(1), asked, (), {}, "", "", "", None))


def test_what_a_job_asks_for_is_made_of_plan_and_site_and_else_of_batchspawners_settings(site):
    found = asks(site, plan(gpus=1), req_account="physics", req_partition="a,b")
    assert found == {
        "cores": 2, "memory_mb": 1024, "gpus": 1, "minutes": 2, "account": "physics", "partitions": ["a", "b"],
        "gres": "gpu",
    }  # fmt: skip
    site.config = site.config.model_copy(update={"account": "chemistry", "partitions": ["c"], "qos": "fast"})
    found = asks(site, plan(walltime_s=None), req_account="physics", req_partition="a,b")
    assert (found["account"], found["partitions"], found["qos"]) == ("chemistry", ["c"], "fast")
    assert "minutes" not in found


def test_software_that_is_an_image_needs_something_that_runs_it(site):
    with pytest.raises(CannotLaunch, match="The cluster runs none"):
        asks(site, plan(image="scipy"))
    assert "image" not in asks(site, plan(image="scipy", programs="/software/bin"))
    site.config = site.config.model_copy(update={"runtime": "apptainer"})
    assert asks(site, plan(image="scipy"))["image"] == "scipy"


OWN = set(batchspawner.SlurmSpawner.class_traits(config=True)) - set(Spawner.class_traits(config=True))


def test_of_each_of_batchspawners_settings_it_is_said_what_becomes_of_it():
    assert set(slurm.HONOURED) | set(slurm.REFUSED) >= OWN
    assert set(slurm.HONOURED).isdisjoint(slurm.REFUSED)


@pytest.mark.parametrize("setting", sorted(slurm.REFUSED))
@pytest.mark.parametrize("section", ["BatchSpawnerBase", "SlurmSpawner", "Site_cluster"])
def test_a_setting_that_would_have_no_effect_ends_the_start_with_what_to_write(site, section, setting):
    config = Config()
    config[section][setting] = "x"
    (said,) = refused_traits(config, site.child_class(), slurm.REFUSED)
    assert said.startswith(f"c.{section}.{setting} has no effect: ")
    assert refused_traits(Config({section: {"req_account": "x"}}), site.child_class(), slurm.REFUSED) == []


async def test_the_size_of_a_limit_is_asked_for_once_and_what_cannot_be_asked_leaves_the_reason(site, commands):
    knows(site, 1, 2)
    waits = LINE.replace("|None", "|AssocGrpCpuLimit").replace("|node1|", "||")
    commands.queue(waits.format(1, "PENDING"), waits.format(2, "PENDING"))
    said = "ClusterName=c Account=physics UserName= Partition= GrpTRES=cpu=64(64),mem=N(1)"
    commands.says("scontrol", f"echo '{said}'")
    for _ in range(3):
        await site.snapshot()
    assert {one.job.why.partition(" is ")[0] for one in site.known.values()} == {"your group's limit of 64 cores"}
    assert len([line for line in commands.calls("scontrol") if "assoc_mgr" in line]) == 1
    commands.says("scontrol", "echo 'slurm_load_assoc_mgr_info error: Unable to contact' >&2; exit 1")
    commands.queue(*(waits.replace("physics", "other").format(number, "PENDING") for number in (1, 2)))
    await site.snapshot()
    assert {one.job.why for one in site.known.values()} == {""}
    assert not site.down


async def test_when_maintenance_is_is_asked_for_once_while_somebody_waits_for_it(site, commands):
    knows(site, 1, 2)
    reserved = LINE.replace("|None", "|ReqNodeNotAvail, Reserved for maintenance").replace("|node1|", "||")
    other = LINE.replace("|node1|", "||").replace("|None", "|Resources")
    begin, end = int(time.time()) - 60, int(time.time()) + 7200
    times = f"StartTime={begin} EndTime={end} Duration=02:01:00"
    said = f"ReservationName=secret {times} Nodes=node[1-9] NodeCnt=9 Flags=MAINT,SPEC_NODES TRES=cpu=64"
    commands.says("scontrol", f"echo '{said}'")
    commands.queue(other.format(1, "PENDING"), other.format(2, "PENDING"))
    await site.snapshot()
    assert not [line for line in commands.calls("scontrol") if "reservation" in line]
    commands.queue(reserved.format(1, "PENDING"), reserved.format(2, "PENDING"))
    for _ in range(3):
        await site.snapshot()
    (why,) = {one.job.why for one in site.known.values()}
    assert why.startswith(f"maintenance until {time.strftime('%H:%M', time.localtime(end))}")
    assert len([line for line in commands.calls("scontrol") if "reservation" in line]) == 1
    commands.queue(other.format(1, "PENDING"), other.format(2, "PENDING"))
    await site.snapshot()
    commands.says("scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    commands.queue(reserved.format(1, "PENDING"), reserved.format(2, "PENDING"))
    await site.snapshot()
    assert {one.job.why for one in site.known.values()} == {""}
    assert not site.down


async def test_the_accounts_above_are_asked_for_by_one_question_more_and_only_where_the_limit_may_be_theirs(
    site, commands
):
    knows(site, 1, 2)
    waits = LINE.replace("|None", "|AssocGrpCpuLimit").replace("|node1|", "||")
    commands.queue(waits.format(1, "PENDING"), waits.format(2, "PENDING"))
    own = "ClusterName=c Account=physics UserName= Partition= ParentAccount=science(3) GrpTRES=cpu=N(64)"
    above = "ClusterName=c Account=science UserName= Partition= ParentAccount=root(1) GrpTRES=cpu=64(64)"
    commands.says("scontrol", f'case "$*" in *accounts=*) echo "{own}" ;; *) echo "{above}" ;; esac')
    for _ in range(3):
        await site.snapshot()
    assert {one.job.why.partition(" is ")[0] for one in site.known.values()} == {"your group's limit of 64 cores"}
    asked = [line.partition("flags=")[2] for line in commands.calls("scontrol") if "assoc_mgr" in line]
    assert asked == ["assoc,qos accounts=physics qos=normal", "assoc users=root"]
    assert not site.down
