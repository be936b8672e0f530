"""Files with ten different mistakes at once: told whole, refused at a start, without effect on what runs already."""

import json
import os
import subprocess
import sys

import pytest
from services.facility import facility
from services.hub import RunningHub, wait_for

from beamhub.config.command import main

pytestmark = pytest.mark.promise("bad input")
SECRET = "the-password-of-the-store"
FILES = {
    "compute.yaml": """\
sites:
  here: {kind: local, acounts: none, insecure_shared_account: true}
  cloud: {kind: kubernets, title: Cloud}
  far: {kind: local, networks: [everywhere], title: Far}
environments:
  python: {}
profiles:
  small: {title: Small, sites: [here, ther], environments: [python], cores: {choices: [1, 2], default: 3}}
  "Large one": {title: Large, sites: [cloud], environments: [pyton], memory: lots}
  small: {title: Twice, sites: [here], environments: [python]}
""",
    "processing.yaml": f"""\
store: mysql://hub:{SECRET}@db.example.org/beamhub
storages:
  beamline: {{root: raw, layout: "{{proposal}}/{{proposal}}"}}
  cloud: {{}}
access: {{proposal_group: everybody}}
sources:
  watched: {{kind: filesystem, storage: beemline, settle: soon}}
  posted: {{kind: htp}}
functions: [functions, gone]
rules:
  radial: {{when: {{storage: beamline}}, function: f, executor: ther}}
  second: {{when: {{storage: cloud}}, function: f, wth: {{}}}}
""",
}
TOLD = {
    "compute.yaml": """\
2: unknown key 'acounts' @ sites.here.acounts; did you mean accounts?
3: unknown kind of site 'kubernets' @ sites.cloud; possible: gridengine, local, slurm
4: 'everywhere' is no network @ sites.far.networks[0]; write it like 10.0.0.0/16
6: 'title' is missing @ environments.python.title; write title: …
8: the default is none of the choices @ profiles.small.cores; take one of them
8: there is no site 'ther' @ profiles.small.sites[1]; did you mean here?
9: 'Large one' is no name @ profiles.Large one; up to 40 of a-z, 0-9, - and _, a letter or digit first
9: there is no environment 'pyton' @ profiles.Large one.environments[0]; did you mean python?
9: 'lots' is no size @ profiles.Large one.memory; write it like 512M, 4G or 1T
10: the key is there twice @ profiles.small; keep one of them""".splitlines(),
    "processing.yaml": """\
1: only SQLite and PostgreSQL can be used @ store; write sqlite:///beamhub.db or postgresql+psycopg://user@host/name
3: its fields must be different @ storages.beamline.layout; write it like {proposal}/{scan}
4: 'root' is missing @ storages.cloud.root; write root: …
5: one group for all proposals @ access.proposal_group; write it like {proposal}-dmgt
7: 'soon' is no duration @ sources.watched.settle; write it like 90s, 30m, 1h30m or 2d
7: there is no storage 'beemline' @ sources.watched.storage; did you mean beamline?
8: unknown kind 'htp' @ sources.posted; possible: filesystem, http
9: there is no FOLDER/gone @ functions[1]; make it, or mend the path
11: there is no executor 'ther' @ rules.radial.executor; did you mean here?
12: unknown key 'wth' @ rules.second.wth; did you mean with?""".splitlines(),
}


@pytest.fixture
def folder(tmp_path):
    """Where the files lie, with what they rightly name."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "functions").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def lines_of(name, folder):
    """What is told of a file that lies in a folder."""
    return [f"{folder}/{name}:{line}".replace("FOLDER", str(folder)) for line in TOLD[name]]


def told_in(text, name):
    """The lines of a text that are of a file's mistakes; the Hub's log indents them."""
    return [line.strip() for line in text.splitlines() if f"{name}:" in line and f"{name}: " not in line]


@pytest.mark.parametrize("name", FILES)
def test_ten_different_mistakes_are_told_all_at_once_with_path_line_and_suggestion(folder, name, capsys):
    assert main(["check", str(folder / name)]) == 1
    assert capsys.readouterr().out.splitlines() == [*lines_of(name, folder), f"{folder}/{name}: 10 mistakes"]


@pytest.mark.hub
def test_a_hub_with_ten_mistakes_in_its_catalogue_refuses_to_start_and_tells_them_all(folder):
    hub = RunningHub(folder, compute=FILES["compute.yaml"])
    try:
        with pytest.raises(RuntimeError, match="the Hub ended"):
            hub.start()
        assert hub.process.returncode == 1
        assert told_in(hub.log(), "compute.yaml") == lines_of("compute.yaml", folder)
        assert "Traceback" not in hub.log()
        assert not (folder / "jupyterhub.sqlite").exists()
    finally:
        hub.stop()


@pytest.mark.parametrize("how", [[], ["--supervise"]], ids=["alone", "supervised"])
def test_a_service_with_ten_mistakes_in_its_file_refuses_to_start_and_tells_them_all_once(folder, how):
    command = [sys.executable, "-m", "beamhub.config.command", "processing", "--config", f"{folder}/processing.yaml"]
    place = {"JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:1", "JUPYTERHUB_API_TOKEN": "of the service"}
    ended = subprocess.run(
        [*command, *how], env=os.environ | place, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert told_in(ended.stderr, "processing.yaml") == lines_of("processing.yaml", folder)
    assert SECRET not in ended.stdout + ended.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["compute.yaml", "functions", "processing.yaml", "raw"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A facility with a server and a file, whose files then become wrong."""
    with facility(tmp_path_factory.mktemp("running")) as here:
        here.start_server("ada")
        here.drop("before.nxs")
        wait_for(lambda: here.files("ada") == {"before.nxs"})
        (here.folder / "functions").mkdir()
        for name, text in FILES.items():
            (here.folder / name).write_text(text)
        wait_for(lambda: "what it said before stays in force" in here.hub.log())
        wait_for(lambda: "the last good one stays in force" in here.hub.log())
        yield here


@pytest.mark.hub
@pytest.mark.parametrize("name", FILES)
def test_on_a_reload_with_ten_mistakes_all_are_told_once_in_the_log_of_what_runs(running, name):
    log = running.hub.log()
    said = [json.loads(line)["message"] if line.startswith("{") else line for line in log.splitlines()]
    assert told_in("\n".join(said), name) == lines_of(name, running.folder)
    assert SECRET not in log


@pytest.mark.hub
def test_on_a_reload_with_ten_mistakes_all_are_told_to_the_tables_of_those_who_may_see_them(running):
    notice = running.ask("ada", "proposals").json()["notice"]
    assert all(line in notice for line in lines_of("processing.yaml", running.folder))
    assert SECRET not in notice


@pytest.mark.hub
def test_on_a_reload_with_ten_mistakes_the_last_good_catalogue_stays_in_force(running):
    running.hub.start_server("bob", options={"profile": "small", "cores": 2})
    assert running.hub.ask_server("ada", "x", {"profile": "Large one"}).status_code == 400
    assert running.hub.as_user("ada").get("user/ada/api").status_code == 200


@pytest.mark.hub
def test_on_a_reload_with_ten_mistakes_the_service_goes_on_with_its_last_good_file(running):
    running.drop("after.nxs")
    wait_for(lambda: running.files("ada") == {"before.nxs", "after.nxs"})
