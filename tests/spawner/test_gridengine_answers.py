"""A Grid Engine whose commands are a test's: what the real one cannot be made to say, or not often enough."""

from pathlib import Path

import batchspawner
import pytest
from jupyterhub.spawner import Spawner
from pydantic import ValidationError
from traitlets.config import Config

from beamhub.spawner import moments
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites import gridengine
from beamhub.spawner.sites.commands import SiteDown
from beamhub.spawner.sites.gridengine import GridengineConfig, GridengineSite
from beamhub.spawner.sites.judgement import Known
from beamhub.spawner.sites.launcher_settings import digest
from beamhub.spawner.sites.queue import Stage
from beamhub.spawner.sites.site import HubSettings, Launch
from beamhub.spawner.sites.traits import refused_traits

JOB = """<job_list state="x"><JB_job_number>{0}</JB_job_number><JAT_prio>0.5</JAT_prio><JB_name>{2}</JB_name>
<JB_owner>anna</JB_owner><state>{1}</state><queue_name>all.q@node1</queue_name><slots>1</slots></job_list>"""
LIST = '<?xml version="1.0"?><job_info ><queue_info>{}</queue_info><job_info></job_info></job_info>'
UNKNOWN = '<?xml version="1.0"?><unknown_jobs ><ST_name>{}</ST_name></unknown_jobs>'
AWAY = '<?xml version="1.0"?><comunication_error ><AN_status>11</AN_status><AN_text>got send error</AN_text>{}'
AWAY += "</comunication_error>"
DETAIL = """<?xml version="1.0"?><detailed_job_info ><djob_info><element><JB_job_number>{0}</JB_job_number>
<JB_owner>{1}</JB_owner></element></djob_info></detailed_job_info>"""
RECORD = "==========\nowner        {1}\njobnumber    {0}\nfailed       {2}\nexit_status  {3}\nru_wallclock 61s\n"
REFUSED = "error: commlib error: got select error (Connection refused)"


class Commands:
    """Scripts in the place of Grid Engine's commands: one answer for lists, one for a single job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listed, self.asked = f"echo '{LIST.format('')}'", f"echo '{UNKNOWN.format(1)}'"
        self.says("qacct", "echo 'error: job id not found' >&2; exit 1")

    def says(self, name: str, does: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> {self.folder}/calls\n{does}\n')
        path.chmod(0o755)

    def answer(self, listed: str = "", asked: str = "") -> None:
        self.listed, self.asked = listed or self.listed, asked or self.asked
        self.says("qstat", f'case "$*" in *" -j "*) {self.asked} ;; *) {self.listed} ;; esac')

    def queue(self, *jobs: tuple[int, str]) -> None:
        listed = "".join(JOB.format(number, state, name(number)) for number, state in jobs)
        (self.folder / "queue.xml").write_text(LIST.format(listed))
        self.answer(f"cat {self.folder}/queue.xml")

    def calls(self, begins: str) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if line.startswith(begins)]


@pytest.fixture
def commands(tmp_path) -> Commands:
    return Commands(tmp_path)


@pytest.fixture
def site(commands) -> GridengineSite:
    config = GridengineConfig(
        kind="gridengine", networks=["10.0.0.0/16"], commands=str(commands.folder), title="The cluster"
    )
    return GridengineSite("cluster", config, None, HubSettings("hub", commands.folder))


def name(number: int) -> str:
    return f"bh-hub-{number}-0123456789"


def knows(site: GridengineSite, *numbers: int) -> None:
    for number in numbers:
        site.known[name(number)] = Known("anna", str(number), since=moments.now() - 60)


FAILURES = {
    "master down": f"echo '{REFUSED}' >&2; exit 1",
    "said, code 0": f"echo '{LIST.format('')}'; echo '{REFUSED}' >&2",
    "said in a document, code 0": f"echo '{AWAY.format('')}'",
    "not allowed": "echo 'denied: host \"hub\" is neither submit nor admin host' >&2; exit 1",
    "nothing, code 0": "true",
    "cut off": f"printf '%s' '{LIST.format('')[:-12]}'",
    "another document": f"echo '{UNKNOWN.format(1)}'",
    "killed": "kill -9 $$",
    "no cell": "echo 'critical error: Please set the environment variable SGE_ROOT.' >&2; exit 1",
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.promise("batch system")
async def test_an_answer_of_grid_engines_that_cannot_be_read_ends_no_server(site, commands, failure):
    knows(site, 1, 2)
    commands.queue((1, "r"), (2, "qw"))
    await site.snapshot()
    commands.answer(FAILURES[failure], FAILURES[failure] if failure != "another document" else "true")
    for _ in range(5):
        await site.snapshot()
    assert not any(one.dead for one in site.known.values())
    assert site.estimate(None).kind == "down"
    commands.queue((1, "r"), (2, "r"))
    await site.snapshot()
    assert [one.job.stage for one in site.known.values()] == [Stage.RUNNING] * 2
    assert site.down == ""


@pytest.mark.parametrize("failure", [one for one in FAILURES if one != "another document"])
@pytest.mark.promise("batch system")
async def test_a_job_that_is_not_listed_and_cannot_be_asked_for_is_not_over(site, commands, failure):
    knows(site, 1)
    commands.queue()
    commands.answer(asked=FAILURES[failure])
    for _ in range(5):
        await site.snapshot()
    assert not site.known[name(1)].dead
    assert commands.calls("qacct") == []


async def test_a_job_that_the_master_knows_nothing_of_twice_is_over(site, commands):
    knows(site, 1)
    commands.queue()
    await site.snapshot()
    assert not site.known[name(1)].dead
    await site.snapshot()
    assert site.known[name(1)].dead
    assert "knows nothing of it" in site.known[name(1)].said


@pytest.mark.parametrize(
    "qacct",
    ["exit 1", "true", "kill -9 $$", f"echo '{RECORD.format(1, 'bob', 0, 0)}'"],
    ids=["1", "0", "killed", "bob"],
)
async def test_without_a_record_of_the_job_its_end_is_known_all_the_same(site, commands, qacct):
    knows(site, 1)
    commands.queue()
    commands.says("qacct", qacct)
    await site.snapshot()
    await site.snapshot()
    assert site.known[name(1)].dead
    assert "knows nothing of it" in site.known[name(1)].said


async def test_a_record_of_the_job_says_how_it_ended_at_once(site, commands):
    knows(site, 1)
    commands.queue()
    commands.says("qacct", f"echo '{RECORD.format(1, 'anna', 0, 7)}'")
    await site.snapshot()
    one = site.known[name(1)]
    assert (one.dead, one.said, one.code, one.over) == (True, "It ended with code 7.", 7, False)


async def test_a_number_that_is_somebody_elses_now_says_nothing_of_ours(site, commands):
    knows(site, 1)
    commands.queue()
    commands.answer(asked=f"echo '{DETAIL.format(1, 'bob')}'")
    with pytest.raises(SiteDown, match="not anna's"):
        await site.ask_end("1", "anna")
    await site.snapshot()
    await site.snapshot()
    assert not site.known[name(1)].dead


async def test_the_number_of_questions_does_not_grow_with_the_servers(site, commands):
    knows(site, *range(1, 200))
    commands.queue(*((number, "qw") for number in range(1, 200)))
    await site.snapshot()
    assert len(commands.calls("qstat")) == 3  # the queue, why our own wait, and once a minute the nodes


async def test_a_job_is_found_by_its_name_among_its_users(site, commands):
    commands.queue((3, "r"), (12, "qw"))
    assert await site.ask_id(name(12), "anna") == "12"
    assert await site.ask_id(name(12), "bob") == ""
    assert await site.ask_names() == [(name(3), "anna"), (name(12), "anna")]


def plan(**changes) -> SpawnPlan:
    given = {
        "profile": "small", "title": "Small", "site": "cluster", "environment": "python", "programs": "", "image": "",
        "modules": (), "cores": 2, "memory_bytes": 2**30, "gpus": 0, "walltime_s": 90.0, "options": {},
    }  # fmt: skip
    return SpawnPlan(**(given | changes))


def test_what_a_job_asks_for_is_made_of_plan_and_site_and_else_of_batchspawners_settings(site):
    def asks(**traits: str) -> dict:
        server = site.child_class()(job=name(1), **traits)
        return server.asks(Launch(name(1), plan(gpus=1), (), {}, "", "", "", None))

    assert asks(req_account="physics", req_queue="a.q,b.q") == {
        "cores": 2, "memory_mb": 1024, "gpus": 1, "minutes": 2, "account": "physics", "partitions": ["a.q", "b.q"],
        "pe": "smp", "gpu_resource": "gpu",
    }  # fmt: skip
    own = {"account": "chemistry", "partitions": ["c.q"], "project": "beam", "memory_resource": "h_vmem"}
    site.config = site.config.model_copy(update=own)
    found = asks(req_account="physics", req_queue="a.q")
    assert {key: found[key] for key in own} == own


def test_nothing_of_the_hubs_environment_is_in_the_servers(site, monkeypatch):
    monkeypatch.setattr(Spawner, "get_env", lambda self: {"JUPYTERHUB_USER": "anna"})
    monkeypatch.setenv("SGE_ROOT", "/the/hubs")
    monkeypatch.setenv("SGE_CLUSTER_NAME", "the hub's")
    server = site.child_class()(job=name(1))
    assert batchspawner.GridengineSpawner.get_env(server)["SGE_ROOT"] == "/the/hubs"
    assert server.get_env() == {"JUPYTERHUB_USER": "anna"}


def test_of_each_of_batchspawners_settings_it_is_said_what_becomes_of_it():
    own = set(batchspawner.GridengineSpawner.class_traits(config=True)) - set(Spawner.class_traits(config=True))
    assert set(gridengine.HONOURED) | set(gridengine.REFUSED) >= own
    assert set(gridengine.HONOURED).isdisjoint(gridengine.REFUSED)


@pytest.mark.parametrize("setting", sorted(gridengine.REFUSED))
@pytest.mark.parametrize("section", ["BatchSpawnerBase", "GridengineSpawner", "Site_cluster"])
def test_a_setting_that_would_have_no_effect_ends_the_start_with_what_to_write(site, section, setting):
    config = Config()
    config[section][setting] = "x"
    (said,) = refused_traits(config, site.child_class(), gridengine.REFUSED)
    assert said.startswith(f"c.{section}.{setting} has no effect: ")


def test_which_cluster_is_asked_stands_in_the_environment_of_each_command_and_in_the_launcher(site):
    assert site.config.needs() == {}
    given = {"sge_root": "/opt/sge", "sge_cell": "prod", "qmaster_port": 6444, "execd_port": 6445}
    config = site.config.model_copy(update=given)
    assert config.needs() == {
        "SGE_ROOT": "/opt/sge", "SGE_CELL": "prod", "SGE_QMASTER_PORT": "6444", "SGE_EXECD_PORT": "6445",
    }  # fmt: skip
    assert digest(config) != digest(site.config)


def test_another_cluster_is_not_taken_while_servers_run_in_the_old_one(site, caplog):
    knows(site, 1)
    site.adopt(site.config.model_copy(update={"sge_cell": "other", "title": "New"}), None)
    assert (site.config.sge_cell, site.config.title) == ("", "New")
    assert "another sge_cell" in caplog.text
    site.known[name(1)].dead = True
    site.adopt(site.config.model_copy(update={"sge_cell": "other"}), None)
    assert site.config.sge_cell == "other"


@pytest.mark.parametrize(
    ("key", "value"),
    [("pe", ""), ("pe", "a b"), ("project", "-x"), ("sge_root", "sge"), ("qmaster_port", 0), ("gpu_resource", "a\nb")],
)
def test_what_grid_engine_cannot_have_is_a_mistake(key, value):
    with pytest.raises(ValidationError):
        GridengineConfig(kind="gridengine", networks=["10.0.0.0/16"], **{key: value})


def test_a_line_of_the_prologue_that_qsub_would_read_as_a_directive_is_refused():
    with pytest.raises(ValidationError, match="write options as directives"):
        GridengineConfig(kind="gridengine", networks=["10.0.0.0/16"], prologue="module load x\n#$ -N other\n")
