"""The program that the Hub runs as others, with commands of a batch system that are a test's."""

import ast
import json
import os
import pwd
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from beamhub.config.mistakes import Mistakes
from beamhub.spawner import launcher_command
from beamhub.spawner.sites import launcher, launcher_settings
from beamhub.spawner.sites.batch_config import BatchConfig
from beamhub.spawner.sites.launcher import Denied, Launcher
from beamhub.spawner.sites.systems import SYSTEMS

NAME = "bh-hub-12-0123456789"
FILES = {"start.json": "{}", "token": "the token", "secret": "the secret"}
JOB = {"name": NAME, "cores": 1, "memory_mb": 100, "partitions": ["short"]}
SUBMIT = {"verb": "submit", "site": "cluster", "job": JOB, "files": FILES, "digest": "now"}
COMPUTE = """
sites:
  cluster: {kind: slurm, networks: [10.0.0.0/16], hub_url: "https://hub.example.org", slurm_conf: /etc/slurm.conf,
            directives: [--comment=jupyter], prologue: ulimit -c 0, token_dir: "/scratch/{user}"}
  here: {kind: local}
environments:
  python: {title: Python}
profiles:
  small: {title: Small, sites: [cluster], environments: [python]}
"""


@pytest.fixture
def commands(tmp_path) -> Path:
    """A folder with commands that write down how they were called."""
    folder = tmp_path / "commands"
    folder.mkdir()
    says(folder, "sbatch", "echo 77")
    says(folder, "scancel", "")
    says(folder, "qsub", "echo 'warning: something'; echo 78")
    says(folder, "qdel", "")
    return folder


def says(folder: Path, name: str, does: str) -> None:
    """What a command does, after it wrote down its arguments, its environment and its input."""
    script = f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/{name}.arguments\nenv > {folder}/{name}.environment\n'
    (folder / name).write_text(f"{script}cat > {folder}/{name}.input\n{does}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def settings(tmp_path, commands) -> dict:
    site = {
        "system": "slurm",
        "token_dir": str(tmp_path / "tokens"),
        "commands": str(commands),
        "environment": {"SLURM_CONF": "/x.conf"},
        "digest": "now",
    }
    grid = {**site, "system": "gridengine", "environment": {"SGE_ROOT": "/opt/sge"}}
    return {"hub": "hub", "bootstrap": "print(1)", "sites": {"cluster": site, "grid": grid}, "first_uid": 0}


def test_a_job_is_submitted_with_its_files_written_first_and_nothing_of_the_hubs_environment(
    settings, commands, tmp_path, monkeypatch
):
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "a secret of the Hub's")
    assert Launcher(settings).answer(SUBMIT) == {"id": "77"}
    folder = tmp_path / "tokens" / NAME
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("start.json", "token", "secret", "bootstrap.py"), 0o600
    )
    environment = dict(line.split("=", 1) for line in (commands / "sbatch.environment").read_text().splitlines())
    assert set(environment) <= {
        "PATH",
        "LANG",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "SLURM_CONF",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    }
    script = (commands / "sbatch.input").read_text()
    assert "#SBATCH --partition=short" in script
    everything = script + (commands / "sbatch.arguments").read_text() + str(environment)
    assert "the token" not in everything
    assert "the secret" not in everything


def test_a_refused_job_leaves_no_token_and_its_reason_is_told(settings, commands, tmp_path):
    says(commands, "sbatch", "echo 'sbatch: error: Invalid qos specification' >&2; exit 1")
    with pytest.raises(Denied, match="Invalid qos") as denied:
        Launcher(settings).answer(SUBMIT)
    assert denied.value.kind == "refused"
    assert list((tmp_path / "tokens").iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "Zero Bytes were transmitted or received",
        "Unexpected message received",
    ],
)
def test_a_submit_that_may_have_taken_effect_keeps_its_files(settings, commands, tmp_path, said):
    says(commands, "sbatch", f"echo '{said}' >&2; exit 1")
    with pytest.raises(Denied) as denied:
        Launcher(settings).answer(SUBMIT)
    assert denied.value.kind == "unknown"
    assert (tmp_path / "tokens" / NAME / "token").exists()


def test_an_sbatch_that_hangs_is_given_up_and_may_have_taken_effect(settings, commands, monkeypatch):
    monkeypatch.setattr(launcher, "PATIENCE", 0.3)
    says(commands, "sbatch", "exec sleep 20")
    with pytest.raises(Denied, match="did not come to an end") as denied:
        Launcher(settings).answer(SUBMIT)
    assert denied.value.kind == "unknown"


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_submitted(settings, commands, tmp_path):
    (tmp_path / "tokens").write_text("no folder")
    with pytest.raises(Denied) as denied:
        Launcher(settings).answer(SUBMIT)
    assert (denied.value.kind, denied.value.path) == ("folder", str(tmp_path / "tokens"))
    assert not (commands / "sbatch.input").exists()


def test_a_job_is_cancelled_by_its_id_or_by_its_name_as_its_user(settings, commands):
    Launcher(settings).answer({"verb": "cancel", "site": "cluster", "name": NAME, "id": "77"})
    me = pwd.getpwuid(os.getuid()).pw_name
    assert (commands / "scancel.arguments").read_text() == f"--name={NAME}\n--user={me}\n77\n"
    Launcher(settings).answer({"verb": "cancel", "site": "cluster", "name": NAME, "id": ""})
    assert (commands / "scancel.arguments").read_text() == f"--name={NAME}\n--user={me}\n"


@pytest.mark.parametrize("said", ["Invalid job id specified", "Job/step already completing or completed"])
def test_a_job_that_is_no_more_counts_as_cancelled(settings, commands, said):
    says(commands, "scancel", f"echo 'scancel: error: Kill job error on job id 77: {said}' >&2; exit 1")
    assert Launcher(settings).answer({"verb": "cancel", "site": "cluster", "name": NAME, "id": "77"}) == {}
    says(commands, "scancel", "echo 'scancel: error: Access/permission denied' >&2; exit 210")
    with pytest.raises(Denied, match="permission denied"):
        Launcher(settings).answer({"verb": "cancel", "site": "cluster", "name": NAME, "id": "77"})


def test_a_cancel_that_was_taken_removes_the_files_where_it_is_told_to(settings, commands, tmp_path):
    Launcher(settings).answer(SUBMIT)
    folder, asked = tmp_path / "tokens" / NAME, {"verb": "cancel", "site": "cluster", "name": NAME, "id": "77"}
    for clean in (False, "yes", None):
        assert Launcher(settings).answer({**asked, "clean": clean}) == {}
    says(commands, "scancel", "echo 'scancel: error: Access/permission denied' >&2; exit 210")
    with pytest.raises(Denied):
        Launcher(settings).answer({**asked, "clean": True})
    assert (folder / "token").exists()
    says(commands, "scancel", "true")
    (folder / "server.log").write_text("the end\n")
    assert Launcher(settings).answer({**asked, "clean": True}) == {"cleaned": True}
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["last-server.log"]


def test_files_that_cannot_be_removed_keep_no_cancel_from_its_effect(settings, commands, monkeypatch):
    def remove(_):
        raise OSError(30, "Read-only file system", "/home/anna")

    monkeypatch.setattr("beamhub.spawner.sites.courier.remove", remove)
    asked = {"verb": "cancel", "site": "cluster", "name": NAME, "id": "77", "clean": True}
    assert Launcher(settings).answer(asked) == {}
    assert (commands / "scancel.arguments").exists()


GRID = {**SUBMIT, "site": "grid", "job": {**JOB, "cores": 2, "pe": "smp"}}


def test_a_job_of_grid_engine_is_submitted_by_the_same_launcher(settings, commands):
    assert Launcher(settings).answer(GRID) == {"id": "78"}
    assert (commands / "qsub.arguments").read_text() == "-terse\n"
    script = (commands / "qsub.input").read_text()
    assert f"#$ -N {NAME}\n" in script
    assert "#$ -pe smp 2\n" in script
    environment = (commands / "qsub.environment").read_text()
    assert "SGE_ROOT=/opt/sge\n" in environment
    assert "SLURM" not in environment + script


def test_what_only_another_system_knows_is_no_value_of_a_job(settings, commands):
    for asked in ({**GRID, "job": {**JOB, "qos": "fast"}}, {**SUBMIT, "job": {**JOB, "pe": "smp"}}):
        with pytest.raises(Denied, match="a job has no"):
            Launcher(settings).answer(asked)
    assert list(commands.glob("*.input")) == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('Unable to run job: Job was rejected because job requests unknown queue "nope"', "refused"),
        ("error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message to "
         "qmaster using port 6444 on host", "refused"),
        ("error: commlib error: got read error (closing)\nUnable to run job: unable to send message to qmaster",
         "unknown"),
        ("Unable to run job: failed receiving gdi request response for mid=1 (got syncron message receive timeout "
         "error).", "unknown"),
        ("Unable to run job: Error reading answer list from qmaster", "unknown"),
    ],
)  # fmt: skip
def test_a_submit_to_grid_engine_that_may_have_taken_effect_keeps_its_files(settings, commands, tmp_path, said, kind):
    says(commands, "qsub", f"cat >&2 <<'X'\n{said}\nX\nexit 1")
    with pytest.raises(Denied) as denied:
        Launcher(settings).answer(GRID)
    assert denied.value.kind == kind
    assert (tmp_path / "tokens" / NAME / "token").exists() == (kind == "unknown")


@pytest.mark.parametrize("number", ["78", ""])
def test_a_job_of_grid_engine_is_cancelled_by_its_name_and_user_whatever_the_id_is(settings, commands, number):
    asked = {"verb": "cancel", "site": "grid", "name": NAME, "id": number}
    Launcher(settings).answer(asked)
    me = pwd.getpwuid(os.getuid()).pw_name
    assert (commands / "qdel.arguments").read_text() == f"-u\n{me}\n{NAME}\n"
    says(commands, "qdel", f"echo 'The job {NAME} of user(s) {me} does not exist'; exit 1")
    assert Launcher(settings).answer(asked) == {}
    for said in ("unable to send message to qmaster", "the cell directory does not exist"):
        says(commands, "qdel", f"echo '{said}'; exit 1")
        with pytest.raises(Denied, match=said):
            Launcher(settings).answer(asked)


def test_the_log_is_that_of_the_server_with_what_the_job_was_told_and_clean_leaves_only_the_servers(settings, tmp_path):
    Launcher(settings).answer(SUBMIT)
    folder = tmp_path / "tokens" / NAME
    ask = {"verb": "log", "site": "cluster", "name": NAME, "count": 2}
    (folder / "job.log").write_text("no Python here\n")
    assert Launcher(settings).answer(ask) == {"lines": "no Python here"}
    (folder / "server.log").write_text("1\n2\n3\n")
    assert Launcher(settings).answer(ask) == {"lines": "2\n3\nno Python here"}
    Launcher(settings).answer({"verb": "clean", "site": "cluster", "name": NAME})
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == ["last-server.log"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({**SUBMIT, "verb": "shell"}, "no verb"),
        ({**SUBMIT, "site": "other"}, "no site 'other'"),
        ({**SUBMIT, "job": {**JOB, "name": "bh-other-12-0123456789"}}, "no job of this Hub"),
        ({**SUBMIT, "job": {**JOB, "name": "mine"}}, "no job of this Hub"),
        ({**SUBMIT, "job": {**JOB, "script": "rm -rf /"}}, "script"),
        ({**SUBMIT, "files": {**FILES, "bootstrap.py": "import os"}}, "files must be"),
        ({**SUBMIT, "files": {**FILES, "../x": ""}}, "files must be"),
        ({"verb": "cancel", "site": "cluster", "name": NAME, "id": "1 2"}, "no job's id"),
        ({"verb": "cancel", "site": "cluster", "name": "other", "id": "1"}, "no job of this Hub"),
        ({"verb": "log", "site": "cluster", "name": NAME, "count": "all"}, "count"),
        ({"verb": "clean", "site": "cluster", "name": f"{NAME}/../.."}, "no job of this Hub"),
    ],
)
def test_what_it_is_not_for_is_denied(settings, commands, request_, said):
    with pytest.raises(Denied, match=said) as denied:
        Launcher(settings).answer(request_)
    assert denied.value.kind == "request"
    assert list(commands.glob("*.input")) == []


def test_a_launcher_of_another_compute_yaml_submits_nothing_and_cancels_all_the_same(settings, commands):
    with pytest.raises(Denied, match="make it anew") as denied:
        Launcher(settings).answer({**SUBMIT, "digest": "older"})
    assert denied.value.kind == "stale"
    assert list(commands.glob("*.input")) == []
    Launcher(settings).answer({"verb": "cancel", "site": "cluster", "name": NAME, "id": "77"})


def test_a_folder_that_others_can_change_gets_no_token(settings, tmp_path):
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens").chmod(0o777)
    with pytest.raises(Denied, match="other accounts") as denied:
        Launcher(settings).answer(SUBMIT)
    assert denied.value.path == str(tmp_path / "tokens")
    (tmp_path / "tokens").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tokens").symlink_to("elsewhere")
    with pytest.raises(Denied, match="link"):
        Launcher(settings).answer(SUBMIT)


def test_a_log_that_is_no_file_is_not_waited_for(settings, tmp_path):
    Launcher(settings).answer(SUBMIT)
    os.mkfifo(tmp_path / "tokens" / NAME / "server.log")
    assert Launcher(settings).answer({"verb": "log", "site": "cluster", "name": NAME}) == {"lines": ""}


@pytest.mark.parametrize("part", launcher_settings.PARTS.values(), ids=launcher_settings.PARTS)
def test_its_parts_are_python_of_years_ago(part):
    text = part.read_text()
    ast.parse(text, feature_version=(3, 9))
    assert "from __future__ import annotations" in text


def test_each_kind_of_batch_site_is_a_system_of_the_launchers():
    kinds = {one.name: one.load() for one in entry_points(group="beamhub.sites")}
    assert {name for name, kind in kinds.items() if issubclass(kind.Config, BatchConfig)} == set(SYSTEMS)


def test_accounts_that_are_no_persons_are_denied(settings):
    settings["first_uid"] = os.getuid() + 1
    with pytest.raises(Denied, match="none of a person"):
        Launcher(settings)


def run(program: Path, text: str, *arguments: str) -> dict:
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_installed_program_is_one_file_that_answers_in_json(settings, tmp_path):
    program = tmp_path / "launcher"
    program.write_bytes(launcher_command.program(settings, sys.executable))
    program.chmod(0o755)
    assert run(program, json.dumps(SUBMIT)) == {"id": "77"}
    for text, arguments in (("{", ()), ("[]", ()), (json.dumps(SUBMIT), ("--help",)), ('{"job": 1}', ())):
        assert run(program, text, *arguments)["denied"] == "request"


def test_the_program_is_compiled_for_its_python_and_runs_by_any_other(settings, tmp_path):
    asked = json.dumps({"verb": "log", "site": "cluster", "name": NAME})
    for name, python in (("compiled", sys.executable), ("foreign", "/there/is/no/python")):
        made = launcher_command.program(settings, python)
        (tmp_path / name).write_bytes(made)
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert ("beamhub/spawner/sites/launcher.pyc" in archive.namelist()) == (name == "compiled")
            if name == "compiled":  # without their texts: what is compiled is what runs
                kept = {one: archive.read(one) for one in archive.namelist() if not one.endswith("r.py")}
                with zipfile.ZipFile(tmp_path / "bare", "w") as bare:
                    for one, content in kept.items():
                        bare.writestr(one, content)
        for program in {tmp_path / name, tmp_path / ("bare" if name == "compiled" else name)}:
            done = subprocess.run([sys.executable, "-IS", program], input=asked, capture_output=True, text=True)
            assert json.loads(done.stdout) == {"lines": ""}
    assert launcher_command.compiled({"a.py": b"x = 1"}, "/bin/false") == {}


def test_after_an_update_of_python_the_program_runs_as_before(settings, tmp_path, monkeypatch):
    old = {"beamhub/spawner/sites/launcher.pyc": b"\0\0\r\n" + bytes(60)}  # of another version's bytecode
    monkeypatch.setattr(launcher_command, "compiled", lambda modules, python: old)
    (tmp_path / "launcher").write_bytes(launcher_command.program(settings, sys.executable))
    (tmp_path / "launcher").chmod(0o755)
    assert run(tmp_path / "launcher", json.dumps(SUBMIT)) == {"id": "77"}


def test_the_same_settings_make_the_same_program(settings):
    assert launcher_command.program(settings) == launcher_command.program(settings)


def test_the_command_writes_program_and_rule_and_says_what_to_do(tmp_path, capsys):
    (tmp_path / "compute.yaml").write_text(COMPUTE)
    program = tmp_path / "opt/launcher"
    made = launcher_command.Launcher()
    assert made.run(options(tmp_path, program)) == 0
    assert program.stat().st_mode & 0o777 == 0o755
    rule = program.with_name("launcher.sudoers")
    assert rule.stat().st_mode & 0o777 == 0o440
    assert f'jupyterhub ALL=(%hubusers) NOPASSWD:NOSETENV: {program} ""' in rule.read_text()
    said = capsys.readouterr().out
    assert "knows cluster" in said
    assert "visudo" in said
    assert "not compiled" not in said
    asked = options(tmp_path, program)
    asked.python = "/there/is/no/python"
    assert made.run(asked) == 0
    assert "/there/is/no/python is not on this computer, so it was not compiled for it" in capsys.readouterr().out
    assert made.run(options(tmp_path, program)) == 0  # anew, in its place


def test_what_the_operator_wrote_is_in_the_program_and_nothing_of_other_sites(tmp_path):
    (tmp_path / "compute.yaml").write_text(COMPUTE)
    catalogue = launcher_command.read(tmp_path / "compute.yaml", launcher_command.Catalogue).value
    sites = launcher_settings.settings_of(catalogue, "hub")["sites"]
    assert sites["cluster"]["digest"] == launcher_settings.digest(catalogue.sites["cluster"])
    other = catalogue.sites["cluster"].model_copy(update={"prologue": "true"})
    assert sites["cluster"]["digest"] != launcher_settings.digest(other)
    assert list(sites) == ["cluster"]
    assert sites["cluster"]["system"] == "slurm"
    assert sites["cluster"]["directives"] == ["--comment=jupyter"]
    assert sites["cluster"]["prologue"] == "ulimit -c 0"
    assert sites["cluster"]["environment"] == {"SLURM_CONF": "/etc/slurm.conf"}


@pytest.mark.parametrize("folder", ["/scratch/{username}", "tokens", "{home", "/a b", "{0}"])
def test_a_token_dir_that_is_no_folder_is_a_mistake_with_its_place(tmp_path, folder):
    (tmp_path / "compute.yaml").write_text(COMPUTE.replace("/scratch/{user}", folder))
    with pytest.raises(Mistakes, match=r"is no folder.* @ sites.cluster.token_dir"):
        launcher_command.read(tmp_path / "compute.yaml", launcher_command.Catalogue)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"account": "a b"}, "no name of an account"),
        ({"group": "%wheel"}, "no name of an account"),
    ],
)
def test_names_that_sudo_would_read_otherwise_are_refused(tmp_path, capsys, change, said):
    (tmp_path / "compute.yaml").write_text(COMPUTE)
    asked = options(tmp_path, tmp_path / "launcher")
    for name, value in change.items():
        setattr(asked, name, value)
    assert launcher_command.Launcher().run(asked) == 2
    assert said in capsys.readouterr().out
    assert not (tmp_path / "launcher").exists()


def test_mistakes_of_a_batch_site_are_all_told_with_their_places(tmp_path):
    bad = COMPUTE.replace("networks: [10.0.0.0/16], ", "").replace("--comment=jupyter", "rm -rf")
    (tmp_path / "compute.yaml").write_text(bad)
    with pytest.raises(Mistakes) as mistakes:
        launcher_command.read(tmp_path / "compute.yaml", launcher_command.Catalogue)
    assert "rm -rf" in str(mistakes.value)


def options(folder: Path, program: Path):
    import argparse

    parser = argparse.ArgumentParser()
    launcher_command.Launcher().arguments(parser)
    return parser.parse_args(["--catalogue", str(folder / "compute.yaml"), str(program)])
