"""What ``beamhub check --from`` makes of configurations as centres have them, and of each of their parts."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from beamhub.config.command import main
from beamhub.config.document import read
from beamhub.config.mistakes import Mistakes
from beamhub.spawner.catalogue import NOWHERE, Catalogue
from beamhub.spawner.moving.translation import translate
from beamhub.spawner.moving.wanted import TRANSLATED
from beamhub.spawner.sites.slurm import HONOURED, REFUSED, SlurmSite
from beamhub.spawner.sites.traits import refused_traits

PUBLISHED = sorted((Path(__file__).parent / "published").glob("*.py"))
PLAIN = 'c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"\n'


@pytest.fixture(autouse=True)
def address(monkeypatch):
    monkeypatch.setenv("HUB_ADDRESS", "10.8.0.4")


@pytest.fixture
def moved(tmp_path):
    """The catalogue that a configuration becomes, and what is said below it."""

    def move(configuration: str) -> tuple[Catalogue, str]:
        (tmp_path / "jupyterhub_config.py").write_text(configuration)
        return checked(tmp_path / "jupyterhub_config.py", tmp_path)

    return move


def checked(configuration: Path, folder: Path) -> tuple[Catalogue, str]:
    text = translate(configuration).replace(NOWHERE, "10.0.0.0/16")
    (folder / "compute.yaml").write_text(text)
    below = " ".join(line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("#"))
    return read(folder / "compute.yaml", Catalogue).value, below


def published(name: str, folder: Path) -> tuple[Catalogue, str]:
    return checked(next(path for path in PUBLISHED if path.stem == name), folder)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_what_is_printed_is_accepted_by_the_check_once_the_networks_are_filled_in(path, tmp_path, capsys):
    assert main(["check", "--from", str(path)]) == 0
    text = capsys.readouterr().out
    (tmp_path / "compute.yaml").write_text(text)
    assert main(["check", str(tmp_path / "compute.yaml")]) == 1
    said = capsys.readouterr().out.splitlines()[:-1]
    assert len(said) == text.count(NOWHERE)
    assert all(re.search(rf":\d+: {NOWHERE} is to be filled in: .* @ sites\.[\w-]+\.networks", one) for one in said)
    (tmp_path / "compute.yaml").write_text(text.replace(NOWHERE, "10.0.0.0/16"))
    assert main(["check", str(tmp_path / "compute.yaml")]) == 0


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_each_setting_that_would_end_the_hubs_start_is_named(path, tmp_path):
    _, below = checked(path, tmp_path)
    found = Config()
    exec(compile(path.read_text(), path, "exec"), {"get_config": lambda: found, "__file__": str(path)})  # noqa: S102
    kind = SlurmSite("cluster", None, None, None).child_class()
    said = [re.match(r"c\.\w+\.\w+", sentence)[0] for sentence in refused_traits(found, kind, REFUSED)]
    assert said
    assert [one for one in said if not re.search(rf"{re.escape(one)}\b", below)] == []


def test_each_profile_is_one_with_its_site_software_and_size(tmp_path):
    found, below = published("profiles", tmp_path)
    assert {name: site.partitions for name, site in found.sites.items()} == {
        "long": ["long", "spare"], "short": ["short"],
    }  # fmt: skip
    long = found.sites["long"]
    assert (long.hub_url, long.queue_timeout, long.start_timeout) == ("http://10.8.0.4:8083", 240, 90)
    assert long.prologue.splitlines() == [
        "umask 0027", "unset XDG_RUNTIME_DIR", 'if [ -d "$HOME/lab" ] ; then', '    export JUPYTERLAB_DIR="$HOME/lab"',
        "fi", ". /apps/hub/tree.sh",
    ]  # fmt: skip
    assert {one.python for one in found.environments.values()} == {"/apps/hub/bin"}
    assert list(found.profiles) == ["days", "hours", "large", "days_classic", "hours_classic", "large_classic"]
    days, large = found.profiles["days"], found.profiles["large"]
    assert (days.title, days.sites, days.cores.default) == ("Five days, 2 GB", ["long"], 2)
    assert (days.memory.amounts.default, days.walltime.default) == (2200 << 20, 5 * 86400)
    assert (large.sites, large.memory.amounts.default, large.walltime.default) == (["short"], 80 << 30, 4 * 3600)
    assert "default_url of the profile days (and of 5 more): it is JupyterHub's" in below
    assert "cull_after of the profile large (and of 1 more): there is no such setting here" in below


def test_one_kind_of_server_for_all_is_one_profile_and_its_module_an_environment(tmp_path):
    found, below = published("remote", tmp_path)
    ((name, site),) = found.sites.items()
    assert (name, site.partitions, site.hub_url) == ("old", ["old", "fast_mpi"], "http://hub.cluster.example:8081")
    assert [one.modules for one in found.environments.values()] == [["Lab/4.2-foss-2024a"]]
    assert site.prologue == ""
    (profile,) = found.profiles.values()
    assert (profile.memory.amounts.default, profile.walltime.default) == (2 << 30, 7200)
    assert "module_init at the site" in below
    assert f"c.SlurmSpawner.exec_prefix: {REFUSED['exec_prefix']}" in below


def test_a_forms_queues_are_sites_and_its_numbers_choices(tmp_path):
    found, below = published("form", tmp_path)
    assert [site.partitions for site in found.sites.values()] == [["standard"], ["accel"]]
    (profile,) = found.profiles.values()
    assert profile.sites == ["standard", "accel"]
    assert (profile.walltime.choices, profile.walltime.default) == ([3600, 43200], 43200)
    assert (profile.gpus.choices, profile.gpus.default, profile.memory.amounts.default) == ([0, 1, 2], 0, 4 << 30)
    assert found.environments["default"].python == "/projects/python/bin"
    assert found.sites["accel"].queue_timeout == 7200
    assert "fill in: how the nodes reach the Hub" in (tmp_path / "compute.yaml").read_text()
    assert "nothing says what other is in it" in below
    assert "the form (account): people choose" in below
    assert "prologue: a secret seems to be in it" in below


def test_a_jobs_options_in_one_line_are_a_profiles_size_and_the_rest_are_directives(tmp_path):
    found, below = published("clusters", tmp_path)
    ((_, site),) = found.sites.items()
    assert (site.title, site.partitions, site.directives) == ("lessons", ["gpu"], ["--comment=from the Hub"])
    (profile,) = found.profiles.values()
    assert (profile.cores.default, profile.gpus.default, profile.memory.amounts.default) == (2, 1, 24 << 30)
    assert "the profile 'On this computer', started by LocalProcessSpawner" in below
    assert f"req_cluster of the profile lessons: {REFUSED['req_cluster']}" in below


OF_BATCHSPAWNER = sorted({*REFUSED, *HONOURED})


@pytest.mark.parametrize("trait", OF_BATCHSPAWNER)
def test_each_trait_is_taken_over_or_has_its_sentence(trait, moved):
    _, below = moved(f'{PLAIN}c.SlurmSpawner.{trait} = "7"\n')
    taken, _, left = below.partition("What else was said there")
    assert (f"c.SlurmSpawner.{trait}" in taken) == (trait in HONOURED or trait in TRANSLATED)
    assert (f"c.SlurmSpawner.{trait}: {REFUSED.get(trait)}" in left) == (trait in REFUSED and trait not in TRANSLATED)


def test_what_is_translated_is_refused_as_a_trait():
    assert set(TRANSLATED) <= set(REFUSED)


def test_a_script_of_ones_own_becomes_directives_shell_and_image(moved):
    script = """#!/bin/bash -l
#SBATCH --partition={{partition}} --account=physics
#SBATCH --output={{homedir}}/log --chdir={{homedir}}
#SBATCH -C "skylake&ib"
#SBATCH --comment=of-{{username}}
{% if gres %}#SBATCH --gres={{gres}}{% endif %}
#SBATCH --exclusive
#SBATCH --licenses matlab:1
#SBATCH --nodes=2
set -euo pipefail
{{prologue}}
cd {{homedir}}
apptainer exec --nv --bind /data /images/lab.sif {{cmd}}
rm -rf "$TMPDIR/cache"
{{epilogue}}
"""
    found, below = moved(f"""{PLAIN}
c.SlurmSpawner.batch_script = '''{script}'''
c.SlurmSpawner.req_partition = "a,b"
c.SlurmSpawner.req_gres = "gpu:a100:2"
c.SlurmSpawner.req_epilogue = "echo over"
""")
    (site,) = found.sites.values()
    assert (site.partitions, site.account, site.constraint, site.gres) == (
        ["a", "b"],
        "physics",
        "skylake&ib",
        "gpu:a100",
    )
    assert site.directives == ["--exclusive", "--licenses=matlab:1"]
    assert site.prologue == ". /etc/profile\ncd $HOME\n"
    assert site.epilogue == 'rm -rf "$TMPDIR/cache"\necho over\n'
    assert (site.runtime, site.runtime_options) == ("apptainer", ["--nv", "--bind=/data"])
    assert found.environments["default"].image == "/images/lab.sif"
    assert found.profiles["server"].gpus.default == 2
    assert "--comment=of-@username@: it differs from person to person" in below
    assert "--nodes=2: a server is one process" in below


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('c.SlurmSpawner.req_partition = "{{NAME}}"', "--partition={{NAME}}: it is no name of a partition"),
        ('c.SlurmSpawner.req_nprocs = "5000"', "--cpus-per-task=5000: it is no value that cores can have"),
        ('c.SlurmSpawner.req_account = "{username}"', "--account={username}: it differs from person to person"),
        ('c.SlurmSpawner.req_memory = "all"', "--mem=all: it is no value that memory can have"),
        ('c.SlurmSpawner.req_gres = "tmpfs:10G"', "--gres=tmpfs:10G: of generic resources a profile has gpus alone"),
        ('c.SlurmSpawner.req_prologue = "[[ -d /x ]] && cd /x"', "prologue of the job: it is run by sh, and '[['"),
        ('c.SlurmSpawner.batch_script = "{% if %}"', "c.SlurmSpawner.batch_script: it is no template"),
        ("c.SlurmSpawner.batch_script = \"{{ 1 + '2' }}\"", "c.SlurmSpawner.batch_script: it is no template"),
        ('c.SlurmSpawner.batch_script = "{cmd[x]}"', "c.SlurmSpawner.batch_script: it is no template"),
        ("c.SlurmSpawner.batch_script = '#!/bin/sh\\napptainer exec /a.sif sh -c \"{cmd}\"'", "what stands before the"),
        ('c.SlurmSpawner.batch_script = "/etc/hub/job.sh"', "no line of it starts a server"),
        ('c.SlurmSpawner.batch_script = "#!/bin/sh\\nnice {cmd}"', "nice {cmd} in batch_script: what stands before"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_remedy(line, said, moved):
    assert said in moved(f"{PLAIN}{line}\n")[1]


def test_values_that_are_added_to_and_those_of_own_classes_are_read(moved):
    found, below = moved("""
from batchspawner import SlurmSpawner
class Own(SlurmSpawner):
    req_partition = "mine"
    req_runtime = "30"
    @property
    def batch_script(self):
        return open("/etc/hub/job.sh").read()
c.JupyterHub.spawner_class = Own
c.Spawner.environment.update({"A": "1"})
c.SlurmSpawner.args.append("--debug")
c.Own.req_runtime = "60"
""")
    assert [site.partitions for site in found.sites.values()] == [["mine"]]
    assert found.profiles["server"].walltime.default == 3600
    assert f"batch_script: code makes it, which was not run: {REFUSED['batch_script']}" in below


def test_sites_that_differ_by_gpus_alone_are_one(moved):
    found, _ = moved("""
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.ProfilesSpawner.profiles = [
    ("CPU", "CPU 1", "batchspawner.SlurmSpawner", {"req_partition": "all"}),
    ("GPU", "GPU/1", "batchspawner.SlurmSpawner", {"req_partition": "all", "req_gres": "gpu:v100:1"}),
]
""")
    assert {name: site.gres for name, site in found.sites.items()} == {"all": "gpu:v100"}
    assert list(found.profiles) == ["cpu-1", "gpu-1"]


PROFILES = 'c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"\n'


def test_profiles_that_are_added_to_are_read(moved):
    one = '("One", "one", "batchspawner.SlurmSpawner", {"req_partition": "mine"})'
    found, _ = moved(f"{PROFILES}c.ProfilesSpawner.profiles.append({one})\n")
    assert [site.partitions for site in found.sites.values()] == [["mine"]]


def test_a_wrapped_slurmspawner_is_found(moved):
    found, _ = moved("""
c.JupyterHub.spawner_class = "somebodys.FormSpawner"
c.FormSpawner.child_class = "batchspawner.SlurmSpawner"
c.FormSpawner.child_config = {"req_partition": "inner"}
""")
    assert [site.partitions for site in found.sites.values()] == [["inner"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sudospawner_of_ours\n", ":1: sudospawner_of_ours is not installed; run this where the Hub runs"),
        ("c.X.y = 1\nc.X.z = {}['gone']\n", ":2: KeyError: 'gone'; run this where the Hub runs"),
        ("c.X.y = \n", ":1: no Python: invalid syntax"),
        ("raise SystemExit('no')\n", ":1: SystemExit: no"),
        ("# spawner_class\nc.JupyterHub.spawner_class = 'sudospawner.SudoSpawner'\n",
         ":2: its servers are started by sudospawner.SudoSpawner, and sudospawner is not installed here; run this"),
        ("c.JupyterHub.spawner_class = 'jupyterhub.spawner.SimpleLocalProcessSpawner'\n",
         ":1: its servers are started by SimpleLocalProcessSpawner; write compute.yaml by hand"),
        (f"{PROFILES}c.ProfilesSpawner.profiles = [('A', 'a', 'batchspawner.SlurmSpawner', {{}}), ('B', 'b')]\n",
         ":2: \"('B', 'b')\" is no profile @ c.ProfilesSpawner.profiles[1]; write it as (title, key, class, {"),
        ("c.JupyterHub.spawner_class = 7\n", ":1: its servers are started by 7, which is no class"),
        ("\n", "its servers are started by LocalProcessSpawner; write compute.yaml by hand"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read_is_said_with_its_line(text, said, tmp_path):
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(text)
    with pytest.raises(Mistakes) as caught:
        translate(path)
    assert f"{path}{said if said.startswith(':') else f': {said}'}" in str(caught.value)


def test_what_the_configuration_prints_does_not_get_into_the_file(tmp_path, capsys):
    (tmp_path / "hub.py").write_text(f"print('starting')\n{PLAIN}")
    assert main(["check", "--from", str(tmp_path / "hub.py")]) == 0
    out, err = capsys.readouterr()
    assert (out.startswith("sites:"), err) == (True, "starting\n")


def test_nothing_is_started_and_nothing_written(tmp_path):
    command = [Path(sys.executable).parent / "beamhub", "check", "--from", PUBLISHED[-1]]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_said(capsys):
    assert main(["check", "--from", "/nowhere/jupyterhub_config.py"]) == 1
    assert capsys.readouterr().err == "/nowhere/jupyterhub_config.py: there is no such file\n"
