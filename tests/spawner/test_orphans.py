"""Jobs and servers that lost each other, looked for beside the Hub: on a fake site, and on a real Slurm."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from jupyterhub import apihandlers, orm
from services.hub import LOCAL, RunningHub, python_of, wait_for
from services.slurm import HUB, Cluster, slurm
from services.slurm_hub import job_of, over, slurm_hub, start_of, state_of

from beamhub.config.command import main
from beamhub.spawner import orphans, reconcile
from beamhub.spawner.database import CannotRead, Database, Recorded, Records
from beamhub.spawner.orphans import Found, Orphan
from beamhub.spawner.sites.queue import Job, Queue, Stage
from beamhub.spawner.sites.site import HubSettings, Truth
from beamhub.spawner.sites.slurm import SlurmConfig, SlurmSite
from beamhub.spawner.state import Phase, Start
from beamhub.spawner.testing import FakeServer, FakeSite

LATER = time.time() + 3600


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(orphans, "PAUSE", 0.0)
    monkeypatch.setattr(reconcile, "SECOND_LOOK", 0.0)


class Annas(FakeSite):
    """All jobs are Anna's."""

    async def about(self, job: str) -> dict[str, float | None]:
        return {"anna": None}


def site(**truths: Truth) -> FakeSite:
    found = Annas()
    found.truths.update(truths)
    return found


def compute(*sites: FakeSite) -> SimpleNamespace:
    known = {one.name: one for one in sites}
    return SimpleNamespace(sites=known, path=Path("compute.yaml"), child_class=lambda name: known[name].child_class())


def recorded(job: str, phase: Phase = Phase.RUNNING, site: str = "fake", give_up_at: float = LATER) -> Recorded:
    return Recorded("anna", "", Start(site, "small", job, give_up_at, phase=phase), 1e9)


def records(*servers: Recorded) -> Records:
    return Records(list(servers), frozenset({"anna"}))


async def test_a_job_that_no_server_names_and_a_server_whose_job_ended_are_both_found():
    here = site(a=Truth.ALIVE, b=Truth.ALIVE, c=Truth.DEAD)
    found = await orphans.find(compute(here), lambda: records(recorded("b"), recorded("c")))
    assert [(one.job, one.server, one.why) for one in found.jobs] == [("a", None, orphans.NO_SERVER)]
    assert [(one.job, one.user, one.server, one.why) for one in found.servers] == [("c", "anna", "", "it ended")]
    assert found.unknown == []


@pytest.mark.promise("batch system")
async def test_a_server_that_is_just_starting_is_no_orphan_before_and_after_its_job_is_there():
    starting = recorded("new", Phase.INTENDED)
    here = site()
    assert await orphans.find(compute(here), lambda: records(starting)) == Found()
    here.truths["new"] = Truth.ALIVE
    assert await orphans.find(compute(here), lambda: records(starting)) == Found()
    done = await orphans.remove(compute(here), Found(jobs=[Orphan("fake", "new", "", "")]), lambda: records(starting))
    assert here.removed == []
    assert [one.why for one in done] == [orphans.OVER]


async def test_a_start_that_was_given_up_and_never_had_a_job_is_found():
    old = recorded("old", Phase.INTENDED, give_up_at=time.time() - 1)
    found = await orphans.find(compute(site()), lambda: records(old))
    assert [one.why for one in found.servers] == ["its start was given up, and it is nowhere"]


async def test_a_server_that_starts_between_the_looks_is_named_by_what_is_read_later():
    here, names = site(), []

    class Busy(FakeSite):
        async def jobs(self) -> set[str]:
            found = await super().jobs()
            names.append(recorded("new", Phase.INTENDED))
            self.truths["new"] = Truth.ALIVE
            return found

    here = Busy()
    assert (await orphans.find(compute(here), lambda: records(*names))).jobs == []


async def test_a_stop_that_comes_to_its_end_meanwhile_is_no_lost_server():
    answers = iter([records(recorded("a"))])
    found = await orphans.find(compute(site(a=Truth.DEAD)), lambda: next(answers, records()))
    assert found == Found()


async def test_what_is_not_shown_has_not_ended():
    class Blind(FakeSite):
        def unseen(self) -> str:
            return "it hides jobs"

    old = recorded("b", Phase.INTENDED, give_up_at=1.0)
    found = await orphans.find(compute(Blind()), lambda: records(recorded("a"), old))
    assert (found.servers, found.unknown) == ([], [Orphan("fake", "", "", "it hides jobs")])
    found = await orphans.find(compute(site()), lambda: records(recorded("a")))
    assert (found.servers, [one.job for one in found.unknown]) == ([], ["a"])


async def test_servers_of_a_site_that_is_not_in_the_file_are_not_known():
    found = await orphans.find(compute(site()), lambda: records(recorded("a", site="gone")))
    assert [(one.site, one.why) for one in found.unknown] == [("gone", "its site is not in compute.yaml")]


@pytest.mark.promise("batch system")
async def test_a_job_of_somebody_whom_the_database_does_not_know_is_left_alone():
    class Owned(FakeSite):
        async def about(self, job: str) -> dict[str, float | None]:
            return {"a": {"anna": 1e9, "stranger": 2e9}, "b": {"stranger": 3e9}}[job]

        async def remove(self, job: str, owner: str | None = None) -> bool:
            return await super().remove(f"{job} of {owner}")

    here = Owned()
    here.truths.update(a=Truth.ALIVE, b=Truth.ALIVE)
    found = await orphans.find(compute(here), records)
    assert [(one.job, one.user, one.since) for one in found.jobs] == [("a", "anna", 1e9)]
    assert [(one.job, one.user, one.why) for one in found.foreign] == [
        ("a", "stranger", orphans.NOT_OURS),
        ("b", "stranger", orphans.NOT_OURS),
    ]
    done = await orphans.remove(compute(here), found, records)
    assert (here.removed, [one.why for one in done]) == (["a of anna"], [orphans.REMOVED])


async def test_where_all_share_an_account_a_job_of_a_server_that_the_database_never_had_is_left_alone():
    here = FakeSite()
    here.truths.update({"bh-h-3-aaaaaaaaaa": Truth.ALIVE, "bh-h-4-aaaaaaaaaa": Truth.ALIVE, "bh-h-x": Truth.ALIVE})
    found = await orphans.find(compute(here), lambda: Records(last=3))
    assert [one.job for one in found.jobs] == ["bh-h-3-aaaaaaaaaa"]
    assert [one.job for one in found.foreign] == ["bh-h-4-aaaaaaaaaa", "bh-h-x"]


async def test_a_state_that_a_site_cannot_read_is_not_known_and_its_job_no_orphan():
    class Choosy(FakeServer):
        def load_state(self, state: dict) -> None:
            raise KeyError("process")

    here = site(a=Truth.ALIVE, b=Truth.ALIVE)
    here.child_class = lambda: type("Site_fake", (Choosy,), {"site": here})
    found = await orphans.find(compute(here), lambda: records(recorded("a")))
    assert [one.job for one in found.jobs] == ["b"]
    assert [(one.job, one.why) for one in found.unknown] == [
        ("a", "its state cannot be read, is it a later version's? KeyError('process')")
    ]


async def test_a_site_that_does_not_answer_at_the_second_look_has_its_jobs_left():
    here = site(a=Truth.ALIVE)
    found = await orphans.find(compute(here), records)
    here.unseen = lambda: "it is away"
    done = await orphans.remove(compute(here), found, records)
    assert (here.removed, [one.why for one in done]) == ([], [f"{orphans.STAYS}: it is away"])


async def test_a_look_cancels_nothing_also_where_a_job_that_ran_waits_again(tmp_path, monkeypatch):
    looks = iter(["RUNNING", "PENDING"])
    config = SlurmConfig(kind="slurm", networks=["10.0.0.0/16"], commands=str(tmp_path))
    here = SlurmSite("cluster", config, None, HubSettings("h", tmp_path))
    begun = Start("cluster", "small", "bh-h-1-aaaaaaaaaa", LATER, phase=Phase.RUNNING, child={"id": "7"})

    async def ask_queue(own: object) -> Queue:
        stage = Stage.RUNNING if next(looks, "PENDING") == "RUNNING" else Stage.WAITING
        return Queue({"7": Job("7", stage, str(stage), user="anna")})

    async def nothing(*_: object) -> list:
        return []

    async def nobody(*_: object) -> str:
        return ""

    monkeypatch.setattr(here, "ask_queue", ask_queue)
    monkeypatch.setattr(here, "ask_nodes", nothing)
    monkeypatch.setattr(here, "ask_names", nothing)
    monkeypatch.setattr(here, "why_hidden", nobody)
    monkeypatch.setattr(here.cancels, "run", lambda *_: pytest.fail("it was cancelled"))
    monkeypatch.setattr(here, "errand", lambda *_: pytest.fail("the launcher was asked"))
    found = await orphans.find(compute(here), lambda: records(Recorded("anna", "", begun)))
    assert [one.job for one in found.servers] == [begun.job]
    assert here.cancels.jobs() == set()


# The Hub's database


def filled(path: Path, *states: dict | None) -> str:
    """A database as JupyterHub makes it, with a server for each state."""
    url = f"sqlite:///{path}"
    session = orm.new_session_factory(url)()
    user = orm.User(name="anna")
    session.add(user)
    for number, state in enumerate(states):
        session.add(orm.Spawner(user=user, name=f"s{number}", state=state))
    session.commit()
    session.close()
    return url


def test_servers_with_a_job_and_all_users_are_read(tmp_path):
    state = {"start": {"site": "x", "profile": "p", "job": "bh-h-1-aaaaaaaaaa", "give_up_at": 1.0, "phase": "running"}}
    url = filled(tmp_path / "hub.sqlite", None, {}, {"kept": {"ended": "its job ended"}}, state)
    found = Database(url).read()
    assert [(one.user, one.server, one.start.job) for one in found.servers] == [("anna", "s3", "bh-h-1-aaaaaaaaaa")]
    assert (found.jobs(), found.users) == ({"bh-h-1-aaaaaaaaaa"}, {"anna"})


def test_a_server_whose_state_cannot_be_read_still_names_its_job(tmp_path):
    good = {"site": "x", "profile": "p", "job": "bh-h-1-aaaaaaaaaa", "give_up_at": 1.0, "phase": "running"}
    states = [{"start": good | {"job": f"bh-h-{number}-aaaaaaaaaa"} | wrong} for number, wrong in enumerate(
        [{"phase": "frozen"}, {"phase": None}, {}], 1)]  # fmt: skip
    states[1]["kept"] = 7
    del states[2]["start"]["site"]
    found = Database(filled(tmp_path / "hub.sqlite", *states)).read()
    assert found.servers == []
    assert found.jobs() == {f"bh-h-{number}-aaaaaaaaaa" for number in (1, 2, 3)}
    assert [(one.user, one.server) for one in found.unread] == [("anna", "s0"), ("anna", "s1"), ("anna", "s2")]
    assert "'frozen' is not a valid Phase" in found.unread[0].why


def test_a_state_that_may_name_any_job_ends_the_look(tmp_path):
    url = filled(tmp_path / "hub.sqlite", {"start": ["job"]})
    with pytest.raises(CannotRead, match="the state of the server 's0' of 'anna' is none of BeamHub's"):
        Database(url).read()


def test_options_that_are_for_a_hubs_pool_are_left_out(tmp_path):
    options = {"pool_size": 20, "max_overflow": 5, "pool_pre_ping": True, "echo": True}
    assert Database(filled(tmp_path / "hub.sqlite"), options).read().users == {"anna"}


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("post gres://", {}, "db_url or db_kwargs opens no database: Could not parse"),
        ("nosuchdb://hub:secret@host/hub", {}, "db_url or db_kwargs opens no database: Can't load plugin"),
        ("mssql+pymssql://hub:secret@host/hub", {}, "the database needs pymssql, which is not installed: run this"),
        ("{}/hub.sqlite", {"colour": "red"}, "db_url or db_kwargs opens no database: Invalid argument"),
    ],
)
def test_a_database_that_cannot_be_opened_is_said(url, options, said, tmp_path):
    filled(tmp_path / "hub.sqlite")
    with pytest.raises(CannotRead, match=said) as caught:
        Database(url.format(tmp_path), options)
    assert "secret" not in str(caught.value)


def test_nothing_can_be_written_by_it(tmp_path):
    database = Database(filled(tmp_path / "hub.sqlite"))
    with database._engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM users")


@pytest.mark.parametrize(
    ("url", "said"),
    [("sqlite:///{}/gone.sqlite", "there is no database"), ("sqlite://", "in its memory"), ("{}/no", "no database")],
)
def test_a_database_that_is_not_there_is_said_and_not_made(url, said, tmp_path):
    with pytest.raises(CannotRead, match=said):
        Database(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_none_of_a_hub_is_said(tmp_path):
    (tmp_path / "other.sqlite").write_text("no database")
    with pytest.raises(CannotRead, match=r"other.sqlite: .*not a database. Run this as the Hub's account"):
        Database(f"sqlite:///{tmp_path}/other.sqlite").read()


# The command

LOST = Orphan("here", "bh-hubone-1-dddddddddd", "anna", orphans.NO_SERVER)
NONE = {"jobs": [], "servers": [], "unknown": [], "foreign": []}
CONFIG = """
from beamhub.spawner import configure
configure(c, catalogue="compute.yaml", hub="hubone")
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """Where a Hub would be started, with one server whose process is gone."""
    gone = {"site": "here", "profile": "small", "job": "bh-hubone-1-aaaaaaaaaa", "give_up_at": 1.0, "phase": "running"}
    (tmp_path / "compute.yaml").write_text(LOCAL)
    (tmp_path / "jupyterhub_config.py").write_text(CONFIG)
    filled(tmp_path / "hub.sqlite", {"start": {**gone, "child": {"process": None, "uid": os.geteuid()}}})
    monkeypatch.chdir(tmp_path)
    routes = list(apihandlers.default_handlers)  # configure() changes them
    yield tmp_path
    apihandlers.default_handlers[:] = routes


@contextmanager
def lost_process(mark: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(["sleep", "600"], env={"BEAMHUB_JOB": mark, "PATH": "/usr/bin:/bin"})
    wait_for(lambda: psutil.Process(process.pid).environ().get("BEAMHUB_JOB") == mark)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_both_kinds_are_listed_and_removed_is_the_first(folder, capsys):
    with lost_process("bh-hubone-1-bbbbbbbbbb") as process:
        assert main(["orphans"]) == 1
        told = capsys.readouterr().out
        job, server = re.findall(r"^here +(\S+) +(\S+) +(\S+) +(\S+(?: \d\S+)?) +(.*)$", told, re.MULTILINE)
        began = time.strftime("%Y-%m-%d", time.gmtime(psutil.Process(process.pid).create_time()))
        assert f"Database: {folder}/hub.sqlite (servers with a job: 1)" in told
        assert (job[0], job[2], job[3][:10], job[4]) == ("bh-hubone-1-bbbbbbbbbb", "-", began, orphans.NO_SERVER)
        assert (server[0], server[1], server[2], server[4]) == ("bh-hubone-1-aaaaaaaaaa", "anna", "s0", "it ended")
        assert process.poll() is None
        assert main(["orphans", "--remove", "--yes", "--json"]) == 1  # the server is still there, and the Hub's to end
        said = json.loads(capsys.readouterr().out)
        assert [one["why"] for one in said["removed"]] == ["removed"]
        assert [one["job"] for one in said["servers"]] == ["bh-hubone-1-aaaaaaaaaa"]
        assert process.wait(10) == -signal.SIGKILL


def test_where_there_are_none_it_is_said_with_0(folder, capsys):
    filled(folder / "empty.sqlite")
    options = "c.JupyterHub.db_kwargs.update({'pool_size': 3})\n"
    (folder / "jupyterhub_config.py").write_text(CONFIG.replace("hub.sqlite", "empty.sqlite") + options)
    assert main(["orphans"]) == 0
    read = {"url": f"{folder}/empty.sqlite", "servers": 0, "newest": None}
    assert capsys.readouterr().out == f"Database: {read['url']} (servers with a job: 0)\n\nThere are none.\n"
    assert main(["orphans", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"database": read, **NONE}


def test_more_jobs_than_servers_that_are_there_are_not_ended_unless_one_says_so(folder, capsys):
    with lost_process("bh-hubone-1-bbbbbbbbbb") as process:
        assert main(["orphans", "--remove"]) == 2
        out, err = capsys.readouterr()
        assert "bh-hubone-1-bbbbbbbbbb" in out
        assert "the jobs that no server has (1) are more than the servers" in err
        assert "still there (0). Is it the Hub's database? Name the right one (--db), or say --yes" in err
        assert process.poll() is None


def test_a_database_that_the_hub_was_started_with_can_be_named_and_is_said(folder, capsys):
    filled(folder / "other.sqlite")
    session = orm.new_session_factory(f"sqlite:///{folder}/other.sqlite")()
    state = {"start": {"site": "here", "profile": "p", "job": "bh-hubone-1-cccccccccc", "give_up_at": 1.0,
                       "phase": "running"}}  # fmt: skip
    user = session.query(orm.User).one()
    session.add(orm.Spawner(user=user, state=state, started=datetime(2026, 11, 5, 7, 30)))
    session.commit()
    session.close()
    with lost_process("bh-hubone-1-cccccccccc"):
        assert main(["orphans", "--db", "sqlite:///other.sqlite"]) == 0
        said = f"Database: {folder}/other.sqlite (servers with a job: 1, the newest asked for at 2026-11-05 07:30:00)\n"
        assert capsys.readouterr().out == f"{said}\nThere are none.\n"


def test_jobs_of_nobody_are_listed_and_not_counted(folder, capsys):
    filled(folder / "empty.sqlite")
    with lost_process("bh-hubone-1-bbbbbbbbbb") as process:
        assert main(["orphans", "--db", "empty.sqlite", "--remove", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert [(one["job"], one["why"]) for one in said["foreign"]] == [("bh-hubone-1-bbbbbbbbbb", orphans.NOT_OURS)]
        assert (said["jobs"], said["removed"], process.poll()) == ([], [], None)


@pytest.mark.parametrize(
    ("found", "ends", "code"),
    [
        (Found(jobs=[LOST], there={"a"}), {LOST: orphans.REMOVED}, 0),
        (Found(jobs=[LOST], there={"a"}), {LOST: orphans.OVER}, 0),
        (Found(jobs=[LOST], there={"a"}), {LOST: orphans.STAYS}, 1),
        (Found(jobs=[LOST], there={"a"}), {LOST: f"{orphans.STAYS}: it is away"}, 1),
        (Found(jobs=[LOST], there={"a"}, unknown=[LOST]), {LOST: orphans.REMOVED}, 2),
        (Found(servers=[LOST], unknown=[LOST]), {}, 1),
        (Found(unknown=[LOST]), {}, 2),
        (Found(foreign=[LOST]), {}, 0),
    ],
)
def test_the_code_says_what_is_left(found, ends, code, folder, monkeypatch):
    async def find(*_: object) -> Found:
        return found

    async def remove(*_: object) -> list[Orphan]:
        return [replace(one, why=why) for one, why in ends.items()]

    monkeypatch.setattr(orphans, "find", find)
    monkeypatch.setattr(orphans, "remove", remove)
    assert main(["orphans", "--remove"]) == code


def test_whatever_goes_wrong_is_2(folder, monkeypatch, caplog):
    monkeypatch.setattr(orphans, "find", lambda *_: 1 / 0)
    assert main(["orphans"]) == 2
    assert "ZeroDivisionError" in caplog.text


def test_what_people_chose_moves_no_cursor(folder, monkeypatch, capsys):
    async def find(*_: object) -> Found:
        return Found(servers=[Orphan("here", "bh-h-1-a", "an\x1b]0;na", "it\nended \u202ehere", "s\x1b[2J")])

    monkeypatch.setattr(orphans, "find", find)
    assert main(["orphans"]) == 1
    out = capsys.readouterr().out
    assert all(text in out for text in ("an?]0;na", "it?ended ?here", "s?[2J"))
    assert not re.search("[\x1b\u202e]", out)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "jupyterhub_config.py: there is no such file"),
        ("c.JupyterHub.port = 8000", "has no configure(c)"),
        (CONFIG.replace("hub.sqlite", "gone.sqlite"), "there is no database gone.sqlite. Run this in the folder"),
        (CONFIG.replace("compute.yaml", "gone.yaml"), "gone.yaml: there is no such file"),
    ],
    ids=["no configuration", "another Hub's", "no database", "no catalogue"],
)
def test_what_cannot_be_looked_at_is_2_and_says_why(config, said, folder, capsys):
    (folder / "jupyterhub_config.py").unlink()
    if config is not None:
        (folder / "jupyterhub_config.py").write_text(config)
    assert main(["orphans"]) == 2
    assert said in capsys.readouterr().err


def test_the_demos_configuration_can_be_read_beside_a_demo_that_runs(tmp_path):
    """It removes the proxy's rules when its Hub is started, and only then."""
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy/rules.toml").write_text("routes of the Hub that runs")
    demo = Path(__file__).parents[2] / "jupyterhub_config.py"
    command = [Path(sys.executable).parent / "beamhub", "orphans", "-f", demo]
    done = subprocess.run(command, env={**os.environ, "BEAMHUB_FOLDER": str(tmp_path)}, capture_output=True, text=True)
    assert "there is no database" in done.stderr
    assert (tmp_path / "proxy/rules.toml").read_text() == "routes of the Hub that runs"


# A real Slurm


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with slurm("bho") as running:
        yield running


@pytest.fixture(scope="module")
def hub(cluster: Cluster) -> Iterator[RunningHub]:
    with slurm_hub(cluster, extra="reconcile.keep_clean.__defaults__ = (reconcile.known_jobs, 600.0)\n") as running:
        yield running


def look(hub: RunningHub, *words: str) -> tuple[int, dict]:
    """What the command says, run by the Hub's account in the Hub's folder."""
    done = subprocess.run(
        [*python_of(HUB, "beamhub.config.command"), "orphans", "--json", *words], cwd=hub.folder, user=HUB, group=HUB,
        extra_groups=[], capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def lost_job(cluster: Cluster, hub: RunningHub, nonce: str) -> tuple[str, str]:
    """A job that a Hub submitted and whose server it does not know any more: its name, its id."""
    name = f"bh-{hub.mark}-99-{nonce}"
    return name, cluster.submit("#!/bin/sh\nsleep 600\n", f"--job-name={name}", "-p", "short", user="bhanna")


@pytest.mark.slurm
@pytest.mark.promise("batch system")
def test_while_the_hub_runs_a_lost_job_is_listed_and_removed_and_servers_stay(hub, cluster):
    hub.start_server("bhbob", options={"profile": "small"})
    code, said = look(hub)
    read = said.pop("database")
    assert (code, said, read["url"], read["servers"]) == (0, NONE, f"{hub.folder}/jupyterhub.sqlite", 1)
    name, number = lost_job(cluster, hub, "aaaaaaaaaa")
    wait_for(lambda: state_of(cluster, number) == "RUNNING")
    code, said = look(hub)
    assert code == 1
    assert [(one["site"], one["job"], one["user"]) for one in said["jobs"]] == [("cluster", name, "bhanna")]
    assert said["jobs"][0]["since"][:10] == time.strftime("%Y-%m-%d", time.gmtime())
    assert said["servers"] == said["unknown"] == []
    code, said = look(hub, "--remove")
    assert (code, [(one["job"], one["user"], one["why"]) for one in said["removed"]]) == (
        0, [(name, "bhanna", orphans.REMOVED)],
    )  # fmt: skip
    wait_for(lambda: over(cluster, number), 20)
    assert state_of(cluster, job_of(hub, "bhbob")) == "RUNNING"
    assert hub.as_user("bhbob").get("user/bhbob/api").status_code == 200
    wait_for(lambda: look(hub)[0] == 0, 60)
    hub.stop_server("bhbob")


@pytest.mark.slurm
@pytest.mark.promise("batch system")
def test_while_the_hub_is_away_both_kinds_are_listed_and_a_server_that_starts_is_none(hub, cluster):
    hub.start_server("bhbob", options={"profile": "small"})
    ended, started = job_of(hub, "bhbob"), start_of(hub, "bhbob")["job"]
    blocking = [cluster.submit("#!/bin/sh\nsleep 600\n", "-p", "short", "--exclusive", "-N1") for _ in range(3)]
    hub.ask_server("bhanna", options={"profile": "small", "cores": 16})
    waiting = wait_for(lambda: job_of(hub, "bhanna"))
    hub.kill()
    try:
        cluster.run("scancel", ended)
        wait_for(lambda: over(cluster, ended), 20)
        name, number = lost_job(cluster, hub, "bbbbbbbbbb")
        code, said = look(hub, "--remove")
        assert code == 1
        assert {one["job"] for one in said["jobs"]} == {name}
        assert [(one["user"], one["job"]) for one in said["servers"]] == [("bhbob", started)]
        assert "cancelled in the batch system" in said["servers"][0]["why"]
        wait_for(lambda: over(cluster, number), 20)
        assert not over(cluster, waiting)
    finally:
        cluster.run("scancel", *blocking)
        hub.start()
    hub.wait_gone("bhbob")
    hub.wait_ready("bhanna")
    wait_for(lambda: look(hub)[0] == 0, 60)
    hub.stop_server("bhanna")


@pytest.mark.slurm
def test_while_slurm_is_away_nothing_is_known_and_nothing_removed(hub, cluster):
    hub.start_server("bhbob", options={"profile": "small"})
    cluster.stop("slurmctld")
    try:
        code, said = look(hub, "--remove")
        assert (code, said["jobs"], said["servers"], said["removed"]) == (2, [], [], [])
        assert "Unable to contact slurm controller" in said["unknown"][0]["why"]
    finally:
        cluster.start("slurmctld")
        cluster.wait_idle(3)
    hub.stop_server("bhbob")
