"""What a batch site takes from jupyterhub_config.py, and that the Hub and its launcher take the same."""

import argparse
import io
import json
import logging
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

from beamhub.config.document import read
from beamhub.spawner import launcher_command
from beamhub.spawner.catalogue import Catalogue
from beamhub.spawner.compute import Compute
from beamhub.spawner.errors import CannotLaunch
from beamhub.spawner.hybrid import HybridSpawner
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites import configured, gridengine, launcher_settings, slurm
from beamhub.spawner.sites.site import Launch

COMPUTE = """
sites:
  cluster: {kind: slurm, networks: [10.0.0.0/16], hub_url: "https://hub.example.org", launcher: /bin/true}
  own: {kind: slurm, networks: [10.0.0.0/16], hub_url: "https://hub.example.org", launcher: /bin/true,
        prologue: ulimit -c 0, epilogue: "", queue_timeout: 10m}
  grid: {kind: gridengine, networks: [10.0.0.0/16], hub_url: "https://hub.example.org", launcher: /bin/true}
  here: {kind: local, insecure_shared_account: true, accounts: none}
environments:
  python: {title: Python}
profiles:
  small: {title: Small, sites: [cluster], environments: [python]}
"""
HUB = """
c.SlurmSpawner.req_prologue = "source /etc/profile.d/modules.sh\\nexport A=${HOME}"
c.BatchSpawnerBase.req_epilogue = "rm -rf $TMPDIR"
"""
SHELL = (". /etc/profile.d/modules.sh\nexport A=${HOME}", "rm -rf $TMPDIR")
NAME = "bh-hub-1-0123456789"


@pytest.fixture
def compute(tmp_path) -> Compute:
    (tmp_path / "compute.yaml").write_text(COMPUTE)
    (tmp_path / "jupyterhub_config.py").write_text(HUB)
    return Compute(read(tmp_path / "compute.yaml", Catalogue), "hub")


def config_of(**traits) -> Config:
    """A configuration; ``SlurmSpawner__req_runtime`` is c.SlurmSpawner.req_runtime."""
    found = Config()
    for name, value in traits.items():
        section, _, trait = name.partition("__")
        found[section][trait] = value
    return found


def of_the_hub() -> Config:
    found = Config()
    exec(HUB, {"c": found})  # noqa: S102
    return found


def server(compute: Compute, site: str = "cluster", config: Config | None = None):
    return compute.child_class(site)(
        job=NAME, config=of_the_hub() if config is None else config, user=SimpleNamespace(name="anna")
    )


def launch(walltime: float | None = None) -> Launch:
    plan = SpawnPlan("small", "Small", "cluster", "python", "", "", (), 1, 2**30, 0, walltime, {})
    return Launch(NAME, plan, (), {}, "", "", "", None)


def made(folder: Path, *more: str) -> tuple[int, dict]:
    """What the command made: its code, and the settings inside the launcher."""
    parser = argparse.ArgumentParser()
    command = launcher_command.Launcher()
    command.arguments(parser)
    program = folder / "launcher"
    words = ["--catalogue", str(folder / "compute.yaml"), "--hub", "hub", *more, str(program)]
    code = command.run(parser.parse_args(words))
    if code or not program.exists():
        return code, {}
    with zipfile.ZipFile(io.BytesIO(program.read_bytes())) as archive:
        return code, json.loads(archive.read("beamhub/spawner/sites/settings.json"))["sites"]


# Shell: inside the launcher, where the site says none


def test_shell_of_the_hubs_configuration_is_inside_the_launcher_where_the_site_says_none(compute, tmp_path):
    code, sites = made(tmp_path, "--config", str(tmp_path / "jupyterhub_config.py"))
    assert code == 0
    assert (sites["cluster"]["prologue"], sites["cluster"]["epilogue"]) == SHELL
    assert (sites["own"]["prologue"], sites["own"]["epilogue"]) == ("ulimit -c 0", "")
    assert (sites["grid"]["prologue"], sites["grid"]["epilogue"]) == ("", SHELL[1])


def test_what_is_said_of_one_site_goes_before_what_is_said_of_all(compute):
    hub = of_the_hub()
    hub.Site_cluster.req_prologue = "true"
    found = compute.child_class("cluster").site_config(hub)
    assert (found.prologue, found.epilogue) == ("true", SHELL[1])


@pytest.mark.parametrize("site", ["cluster", "own", "grid"])
async def test_hub_and_launcher_come_to_the_same_digest(compute, tmp_path, site, monkeypatch):
    _, sites = made(tmp_path, "--config", str(tmp_path / "jupyterhub_config.py"))
    sent = []

    async def errand(user, request):
        sent.append(request["digest"])
        return {"id": "7"}

    monkeypatch.setattr(compute.sites[site], "errand", errand)
    await server(compute, site).submit(launch())
    assert sent == [sites[site]["digest"]]


async def test_a_launcher_that_was_made_without_is_noticed_and_said_to_need_it(compute, tmp_path, monkeypatch, caplog):
    _, sites = made(tmp_path)

    async def errand(user, request):
        assert request["digest"] != sites["cluster"]["digest"]
        raise CannotLaunch("it is being changed", "stale")

    monkeypatch.setattr(compute.sites["cluster"], "errand", errand)
    with caplog.at_level(logging.ERROR), pytest.raises(CannotLaunch, match="it is being changed"):
        await server(compute).submit(launch())
    needs = "c.SlurmSpawner.req_prologue and c.BatchSpawnerBase.req_epilogue must be inside the launcher"
    assert f"Site cluster: {needs}; make it anew: beamhub launcher --config jupyterhub_config.py" in caplog.text


def test_a_launcher_of_a_site_that_says_all_itself_need_not_be_made_anew(compute, tmp_path):
    _, sites = made(tmp_path)
    assert launcher_settings.digest(compute.child_class("own").site_config(of_the_hub())) == sites["own"]["digest"]


def test_a_configuration_that_is_not_read_is_said_to_have_shell_and_is_not_run(compute, tmp_path, capsys):
    beside = tmp_path / "jupyterhub_config.py"
    beside.write_text(f"{HUB}\nraise RuntimeError\n")
    assert made(tmp_path)[0] == 0
    assert f"Beware: what {beside} says of req_prologue and req_epilogue is not inside." in capsys.readouterr().out
    beside.write_text("# c.SlurmSpawner.req_prologue = 'true'\n")
    made(tmp_path)
    assert "Beware: what" not in capsys.readouterr().out


@pytest.mark.parametrize("what", ["jupyterhub_config.py", "."])
def test_a_configuration_that_others_may_change_is_not_run(compute, tmp_path, capsys, what):
    (tmp_path / "jupyterhub_config.py").write_text("raise RuntimeError")
    (tmp_path / what).chmod(0o777)
    assert made(tmp_path, "--config", str(tmp_path / "jupyterhub_config.py")) == (1, {})
    assert f"{(tmp_path / what).resolve()} can be changed by others than you" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("cd /data/{username}", "nothing fills in {username} there. Write $USER, or prologue at the site"),
        ("cd {{ homedir }}", "nothing fills in {homedir} there. Write $HOME, or"),
        ("{% if account %}true{% endif %}", "nothing fills in {account} there. Write its value, or"),
        ("if true; then source env.sh; fi", "sh looks for env.sh among its programs only. Write its whole path, or"),
        (". env.sh\nexport A=1", "sh looks for env.sh among its programs only."),
        (["true"], "it is no text. Write lines of shell, or prologue at the site in compute.yaml."),
    ],
)
def test_shell_that_cannot_be_taken_is_refused_with_place_value_and_remedy(compute, tmp_path, capsys, value, why):
    (said,) = configured.problems(
        compute.sites["cluster"].config, compute.child_class("cluster"), config_of(SlurmSpawner__req_prologue=value)
    )
    assert said.startswith(f"c.SlurmSpawner.req_prologue = {value!r}: {why}")
    (tmp_path / "jupyterhub_config.py").write_text(f"c.SlurmSpawner.req_prologue = {value!r}")
    assert made(tmp_path, "--config", str(tmp_path / "jupyterhub_config.py")) == (1, {})
    assert capsys.readouterr().out == f"beamhub launcher: {said}\n"


@pytest.mark.parametrize("value", [". /etc/env.sh", '. "$HOME/env"', "echo source env.sh", "ls . env.sh", "./env.sh"])
def test_shell_that_names_a_file_by_its_path_or_none_is_taken(compute, value):
    hub = config_of(SlurmSpawner__req_prologue=value)
    assert configured.problems(compute.sites["cluster"].config, compute.child_class("cluster"), hub) == []


def test_shell_of_the_command_line_is_refused_since_no_launcher_can_know_it(compute):
    hub = config_of(SlurmSpawner__req_prologue=DeferredConfigString("true"))
    (said,) = configured.problems(compute.sites["cluster"].config, compute.child_class("cluster"), hub)
    assert said.startswith("--SlurmSpawner.req_prologue = 'true': it cannot be inside the launcher. Write it into")


def test_with_the_configuration_the_launcher_knows_its_hubs_name(compute, tmp_path):
    of = f"catalogue={str(tmp_path / 'compute.yaml')!r}, hub='facility'"
    text = f"from beamhub.spawner import configure\nconfigure(c, {of})"
    (tmp_path / "jupyterhub_config.py").write_text(text)
    program = tmp_path / "launcher"
    command, parser = launcher_command.Launcher(), argparse.ArgumentParser()
    command.arguments(parser)
    words = ["--catalogue", str(tmp_path / "compute.yaml"), "--config", str(tmp_path / "jupyterhub_config.py")]
    assert command.run(parser.parse_args([*words, str(program)])) == 0
    with zipfile.ZipFile(io.BytesIO(program.read_bytes())) as archive:
        assert json.loads(archive.read("beamhub/spawner/sites/settings.json"))["hub"] == "facility"


def test_a_catalogue_that_others_may_change_is_said_since_it_is_inside_too(compute, tmp_path, capsys):
    made(tmp_path)
    assert "what is inside the next one" not in capsys.readouterr().out
    (tmp_path / "compute.yaml").chmod(0o666)
    made(tmp_path)
    assert f"Beware: {tmp_path / 'compute.yaml'} can be changed by others than you" in capsys.readouterr().out


def test_what_the_site_says_itself_is_no_matter_of_the_configurations(compute):
    hub = config_of(SlurmSpawner__req_prologue="cd {username}")
    assert configured.problems(compute.sites["own"].config, compute.child_class("own"), hub) == []


def test_a_rule_of_the_sites_own_holds_for_the_configuration_too(compute):
    hub = config_of(GridengineSpawner__req_prologue="#$ -l gpu=1")
    (said,) = configured.problems(compute.sites["grid"].config, compute.child_class("grid"), hub)
    assert "c.GridengineSpawner.req_prologue = '#$ -l gpu=1': '#$ -l gpu=1' would be read by qsub" in said


def test_a_long_value_is_shown_in_part(compute):
    assert len(configured.refusal(configured.Said("c.X.y", "x" * 200), "no")) < 100


# The default time limit


@pytest.mark.parametrize(("written", "minutes"), [("60", 60), ("2:00:00", 120), ("1-12", 2160), ("0:90", 2)])
def test_a_profile_without_a_walltime_has_that_of_req_runtime(compute, written, minutes):
    one = server(compute, config=config_of(SlurmSpawner__req_runtime=written))
    assert one.asks(launch())["minutes"] == minutes
    assert json.loads(one._start(launch()))["walltime_s"] in (minutes * 60, 90)


def test_a_profiles_own_walltime_goes_before_req_runtime(compute):
    one = server(compute, config=config_of(SlurmSpawner__req_runtime="60"))
    assert one.asks(launch(600.0))["minutes"] == 10
    assert json.loads(one._start(launch(600.0)))["walltime_s"] == 600


def test_without_both_a_job_has_the_limit_of_its_partition(compute):
    one = server(compute, config=config_of(SlurmSpawner__req_runtime=""))
    assert "minutes" not in one.asks(launch())
    assert json.loads(one._start(launch()))["walltime_s"] is None


HERE = SimpleNamespace(hub=SimpleNamespace(api_url="http://10.0.0.1:8081/hub/api"))


@pytest.mark.parametrize("written", ["soon", "UNLIMITED", "0", "400-0", "{runtime}", 60])
def test_a_time_limit_that_is_none_ends_the_start_with_place_value_and_remedy(compute, written):
    hub = SimpleNamespace(config=config_of(SlurmSpawner__req_runtime=written), **vars(HERE))
    (said,) = compute.sites["cluster"].problems(hub)
    assert said.startswith(f"c.SlurmSpawner.req_runtime = {written!r}: it is no time limit. Write one like 60, 2:00:00")


def test_what_can_be_honoured_is_no_problem(compute):
    hub = of_the_hub()
    hub.SlurmSpawner.req_runtime, hub.Spawner.start_timeout = "60", 600
    for name in ("cluster", "own", "grid"):
        problems = compute.sites[name].problems(SimpleNamespace(config=hub, **vars(HERE)))
        assert problems == [], name


# The time in the queue


def patience(compute: Compute, site: str, config: Config) -> float:
    """What a start has."""
    spawner = SimpleNamespace(config=config, _sites=lambda: compute, _planned=lambda: SimpleNamespace(site=site))
    return HybridSpawner._patience(spawner)


@pytest.mark.parametrize("section", ["Spawner", "BatchSpawnerBase", "SlurmSpawner", "Site_cluster"])
def test_a_start_timeout_that_was_written_is_how_long_a_start_may_wait(compute, section):
    assert patience(compute, "cluster", config_of(**{f"{section}__start_timeout": 900})) == 900 + 120


def test_the_hubs_log_says_at_its_start_how_long_a_start_may_wait_by_that(compute, caplog):
    hub = SimpleNamespace(config=config_of(Spawner__start_timeout=60), **vars(HERE))
    with caplog.at_level(logging.WARNING):
        assert compute.sites["cluster"].problems(hub) == compute.sites["own"].problems(hub) == []
    said = "c.Spawner.start_timeout = 60: so long may a start wait in the queue. Write queue_timeout at the site"
    assert f"Site cluster: {said}" in caplog.text
    assert "Site own" not in caplog.text


def test_the_sites_own_queue_timeout_goes_before_it_and_unwritten_it_shrinks_nothing(compute):
    assert patience(compute, "own", config_of(Spawner__start_timeout=900)) == 600 + 120
    assert patience(compute, "cluster", Config()) == 3600 + 120
    assert patience(compute, "here", config_of(Spawner__start_timeout=900)) == 120


def test_one_that_was_given_with_the_command_counts_too(compute):
    assert patience(compute, "cluster", config_of(Spawner__start_timeout=DeferredConfigString("900"))) == 900 + 120


@pytest.mark.parametrize("written", [0, -1, True, "5m", 1.5])
def test_a_start_timeout_that_is_none_ends_the_start_with_place_value_and_remedy(compute, written):
    hub = config_of(Spawner__start_timeout=written)
    (said,) = configured.problems(compute.sites["cluster"].config, compute.child_class("cluster"), hub)
    assert said.startswith(f"c.Spawner.start_timeout = {written!r}: it is no whole number of seconds. Write one like")
    assert patience(compute, "cluster", hub) == 3600 + 120


# All that is honoured


@pytest.mark.parametrize("kind", [slurm, gridengine], ids=["slurm", "gridengine"])
def test_each_trait_that_is_said_to_be_honoured_has_an_effect(compute, kind):
    site = {slurm: "cluster", gridengine: "grid"}[kind]
    for trait in kind.HONOURED:
        asked = []
        for config in (Config(), Config({f"Site_{site}": {trait: "60"}})):
            one = server(compute, site, config)
            asked.append((one.asks(launch()), one.site_config(config)))
        assert asked[0] != asked[1], trait
