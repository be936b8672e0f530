import contextlib
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
from jupyterhub import apihandlers
from services.hub import LOCAL, RunningHub, wait_for
from tornado import web
from traitlets.config import Config

from beamhub.config.mistakes import Mistakes
from beamhub.spawner import configure
from beamhub.spawner.announce import PATH
from beamhub.spawner.compute import hub_name
from beamhub.spawner.hybrid import HybridSpawner

ALONE = LOCAL.replace(", insecure_shared_account: true", "")


@pytest.fixture
def configured(tmp_path) -> Config:
    (tmp_path / "compute.yaml").write_text(LOCAL)
    c = Config()
    routes = list(apihandlers.default_handlers)
    configure(c, tmp_path / "compute.yaml", hub="one")
    yield c
    apihandlers.default_handlers[:] = routes


def test_it_sets_the_spawner_the_routes_and_the_scopes(configured):
    assert issubclass(configured.JupyterHub.spawner_class, HybridSpawner)
    assert configured.JupyterHub.spawner_class.__name__ == "HybridSpawner"
    routes = [route[0] for route in apihandlers.default_handlers]
    assert routes.count(PATH) == 1
    assert "/api/batchspawner" not in routes


def test_a_site_has_a_class_of_its_own_that_the_configuration_can_name(configured):
    compute = configured.JupyterHub.spawner_class.compute
    assert compute.child_class("here").__name__ == "Site_here"
    assert compute.child_class("here") is compute.child_class("here")


def test_a_name_that_fits_into_no_job_name_is_refused(tmp_path):
    (tmp_path / "compute.yaml").write_text(LOCAL)
    with pytest.raises(ValueError, match="1 to 16 of a-z"):
        configure(Config(), tmp_path / "compute.yaml", hub="My Hub")


def test_a_missing_catalogue_is_said(tmp_path):
    with pytest.raises(Mistakes, match="there is no such file"):
        configure(Config(), tmp_path / "compute.yaml")


def test_a_spawner_without_its_sites_says_which_line_is_missing():
    spawner = SimpleNamespace(compute=None)
    with pytest.raises(web.HTTPError, match="it needs configure"):
        HybridSpawner._sites(spawner)


def ended(hub: RunningHub) -> str:
    """The log of a Hub that does not start."""
    try:
        with pytest.raises(RuntimeError, match="the Hub ended"):
            hub.start()
        assert hub.process.returncode == 1
        return hub.log()
    finally:
        hub.stop()


@pytest.mark.hub
def test_a_hub_whose_account_would_be_shared_unknowingly_does_not_start(tmp_path):
    log = ended(RunningHub(tmp_path, compute=ALONE, users=["ada", "bob"]))
    assert "more than one user may log in. To accept that, write insecure_shared_account: true." in log
    assert "Traceback" not in log


@pytest.mark.hub
def test_settings_that_a_site_cannot_follow_are_refused_with_what_to_write_instead(tmp_path):
    extra = "c.LocalProcessSpawner.shell_cmd = ['bash', '-l', '-c']\nc.Spawner.port = 8888\n"
    log = ended(RunningHub(tmp_path, extra=extra))
    assert "c.LocalProcessSpawner.shell_cmd has no effect" in log
    assert "c.Spawner.port has no effect: write ports: at the site in compute.yaml." in log


@pytest.mark.hub
def test_values_that_a_batch_site_cannot_take_are_refused_once_for_all_sites(tmp_path):
    site = 'kind: slurm, networks: [10.0.0.0/16], hub_url: "http://10.0.0.1", launcher: /bin/true'
    compute = LOCAL.replace("sites:\n", f"sites:\n  one: {{{site}}}\n  two: {{{site}}}\n", 1)
    extra = "c.SlurmSpawner.req_prologue = 'cd {homedir}'\nc.SlurmSpawner.req_runtime = 'soon'\n"
    log = ended(RunningHub(tmp_path, compute=compute, extra=extra))
    assert log.count("c.SlurmSpawner.req_prologue = 'cd {homedir}': nothing fills in {homedir} there.") == 1
    assert log.count("c.SlurmSpawner.req_runtime = 'soon': it is no time limit. Write one like 60, 2:00:00") == 1


@pytest.mark.hub
def test_a_hub_without_users_ends_what_belongs_to_nobody(tmp_path):
    hub = RunningHub(tmp_path, users=[])
    lost = subprocess.Popen(["sleep", "300"], env={"BEAMHUB_JOB": f"bh-{hub.mark}-1-0123456789"})
    try:
        with hub:
            assert lost.wait(20) == -9
    finally:
        lost.kill()
        lost.wait()


@pytest.mark.hub
@pytest.mark.promise("bad input")
def test_a_changed_catalogue_is_taken_and_a_wrong_one_is_not(tmp_path):
    with RunningHub(tmp_path) as hub:
        hub.start_server("ada", options={"profile": "small"})
        file = hub.folder / "compute.yaml"
        file.write_text(LOCAL.replace("  small:", "  tiny:"))
        wait_for(lambda: "was changed and is in force" in hub.log())
        assert hub.ask_server("bob", options={"profile": "small"}).status_code == 400
        hub.start_server("bob", options={"profile": "tiny"})
        file.write_text("sites: [")
        wait_for(lambda: "what it said before stays in force" in hub.log())
        hub.stop_server("bob")
        hub.start_server("bob", options={"profile": "tiny"})
        assert hub.server("ada")["ready"]


@pytest.mark.hub
def test_a_site_that_was_taken_out_takes_no_new_starts_and_its_servers_live_on(tmp_path):
    with RunningHub(tmp_path) as hub:
        hub.start_server("ada", options={"profile": "small"})
        hub.folder.joinpath("compute.yaml").write_text(LOCAL.replace("here", "there"))
        wait_for(lambda: "was changed and is in force" in hub.log())
        hub.start_server("bob", options={"profile": "small"})
        assert hub.server("bob")["state"]["start"]["site"] == "there"
        assert hub.as_user("ada").get("user/ada/api").status_code == 200
        hub.stop_server("ada")
        with contextlib.suppress(TimeoutError):
            hub.start_server("bob", "again", {"profile": "small", "site": "there"})
        assert hub.ask_server("ada", options={"profile": "small", "site": "here"}).status_code == 400


@pytest.mark.hub
def test_the_hubs_base_path_is_kept(tmp_path):
    with RunningHub(tmp_path, base="/jupyter/") as hub:
        hub.start_server("ada", options={"profile": "small"})
        said = hub.as_user("ada").get("user/ada/api").json()
        assert said["path"] == "/jupyter/user/ada/api"
        hub.kill()
        hub.start()
        hub.wait_ready("ada")
        assert hub.as_user("ada").get("user/ada/api").json()["pid"] == said["pid"]


class Nothing(BaseHTTPRequestHandler):
    """A service that has no pages."""

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.mark.hub
def test_hooks_and_groups_reach_the_server(tmp_path):
    extra = """
def hook(spawner):
    spawner.environment["FROM_HOOK"] = spawner.user.name
c.Spawner.pre_spawn_hook = hook
c.Spawner.group_overrides = {"1": {"groups": ["imaging"], "spawner_override": {"environment": {"FROM_GROUP": "yes"}}}}
c.Site_here.environment = {"FROM_SITE": "1"}
c.JupyterHub.services.append({"name": "beamhub", "url": "http://127.0.0.1:PORT"})
"""
    service = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    Thread(target=service.serve_forever, daemon=True).start()
    extra = extra.replace("PORT", str(service.server_port))
    with service, RunningHub(tmp_path, groups={"imaging": ["ada"]}, extra=extra) as hub:
        hub.start_server("ada", options={"profile": "small"})
        shown = hub.as_user("ada").get("user/ada/api").json()["environment"]
        assert (shown["FROM_HOOK"], shown["FROM_GROUP"]) == ("ada", "yes")
        assert shown["BEAMHUB_SERVICE_URL"] == f"{hub.url}services/beamhub/"
        hub.start_server("bob", options={"profile": "small"})
        shown = hub.as_user("bob").get("user/bob/api").json()["environment"]
        assert (shown["FROM_HOOK"], shown.get("FROM_GROUP")) == ("bob", None)
        service.shutdown()


def test_the_hubs_name_in_job_names_is_the_same_after_each_start(tmp_path):
    assert hub_name(tmp_path / "compute.yaml") == hub_name(tmp_path / "x/../compute.yaml")
    assert hub_name(tmp_path / "compute.yaml") != hub_name(tmp_path / "x/compute.yaml")
