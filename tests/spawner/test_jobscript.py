import shlex
import shutil
import subprocess
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamhub.spawner.sites import gridengine_jobs, jobscript
from beamhub.spawner.sites.jobscript import NoJob, Site
from beamhub.spawner.sites.slurm_jobs import Job
from beamhub.spawner.sites.systems import SYSTEMS

NAME = "bh-hub-12-0123456789"
FOLDER = f"/home/anna/.beamhub/{NAME}"
COMMON = {
    "name": NAME, "cores": 4, "memory_mb": 8192, "minutes": 240, "gpus": 2, "partitions": ("short", "long"),
    "account": "physics", "programs": "/software/scipy/bin", "modules": ("gcc/12.2", "hdf5"),
}  # fmt: skip
FULL = Job(**COMMON, gres="gpu:a100", qos="normal", reservation="course", constraint="cpu&avx2")
GRID_FULL = gridengine_jobs.Job(
    **COMMON, pe="threads", project="imaging", memory_resource="h_vmem", gpu_resource="gpu"
)  # fmt: skip
PLAIN = Site()
OPERATOR = Site(("--comment=jupyter", "-x node1"), "/etc/profile.d/modules.sh", "echo before", "echo after")
NASTY = st.text(st.sampled_from("'\"`$\n;&|\\ a\0"), max_size=6) | st.sampled_from(
    ["a\n#SBATCH --uid=0", "a\n#$ -t 1-9", "$(reboot)", "-x"]
)


def render(job: jobscript.Job, site: Site = PLAIN, folder: str = FOLDER) -> str:
    """The script for the system that the job is of."""
    (system,) = [one for one in SYSTEMS.values() if one.Job is type(job)]
    return jobscript.render(system, job, site, folder)


def test_what_is_asked_for_stands_in_directives():
    script = render(FULL)
    asked = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert asked == [
        f"--job-name={NAME}", f"--output={FOLDER}/job.log", "--open-mode=append", "--no-requeue", "--nodes=1",
        "--ntasks=1", "--cpus-per-task=4", "--mem=8192M", "--partition=short,long", "--account=physics", "--qos=normal",
        "--reservation=course", "--constraint=cpu&avx2", "--time=240", "--gres=gpu:a100:2",
    ]  # fmt: skip
    assert script.splitlines()[-1] == f'exec "$python" -I -S {FOLDER}/bootstrap.py {FOLDER}'


def test_what_is_asked_for_of_grid_engine_stands_in_directives_of_its_own():
    asked = [line.removeprefix("#$ ") for line in render(GRID_FULL).splitlines() if line.startswith("#$ ")]
    assert asked == [
        f"-N {NAME}", f"-o {FOLDER}/job.log", "-j y", "-S /bin/sh", "-r n", "-w e", "-pe threads 4", "-q short,long",
        "-P imaging", "-A physics", "-l h_rt=14400", "-l h_vmem=2048M", "-l gpu=2",
    ]  # fmt: skip
    small = render(gridengine_jobs.Job(NAME, 1, 100))
    assert not any(word in small for word in ("-pe", "-q ", "-l ", "-P", "-A", "#SBATCH"))


def test_memory_is_asked_for_by_each_slot_and_never_less_than_the_plan_has():
    job = gridengine_jobs.Job(NAME, 3, 1000, memory_resource="h_vmem")
    assert "#$ -l h_vmem=334M\n" in render(job)


@pytest.mark.parametrize("folder", ["/home/a:b", "/home/a,b"])
def test_a_folder_that_grid_engine_would_take_for_a_computer_or_for_two_is_refused(folder):
    with pytest.raises(NoJob, match="folder"):
        render(gridengine_jobs.Job(NAME, 1, 1), Site(), folder)


def test_what_is_not_asked_for_does_not_stand_there():
    script = render(Job(NAME, 1, 100))
    assert not any(word in script for word in ("--partition", "--time", "--gres", "--account", "module"))


def test_what_the_operator_wrote_stands_around_the_server():
    lines = render(FULL, OPERATOR).splitlines()
    assert "#SBATCH --comment=jupyter" in lines
    order = [
        lines.index(one)
        for one in (". /etc/profile.d/modules.sh", "module load gcc/12.2 hdf5 || exit 1", "echo before")
    ]
    assert order == sorted(order)
    assert lines[-2:] == ["echo after", 'exit "$code"']


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("site", [Site(), OPERATOR], ids=["bare", "operator"])
@pytest.mark.parametrize("job", [FULL, Job(NAME, 1, 100), GRID_FULL], ids=["full", "small", "grid"])
def test_the_script_is_clean_for_shellcheck(tmp_path, job, site, shell):
    script = tmp_path / "job.sh"
    script.write_text(render(job, site))
    subprocess.run([shell, "-n", script], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "-s", shell, "-e", "SC1091", script], capture_output=True, text=True, check=False
        )
        assert done.stdout == ""


def test_the_code_of_the_server_is_that_of_the_job_also_with_an_epilogue(tmp_path):
    (tmp_path / "bootstrap.py").write_text("raise SystemExit(7)")
    script = render(Job(NAME, 1, 100), Site(epilogue="echo after"), str(tmp_path))
    done = subprocess.run(["sh"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, "after\n")


def test_a_node_without_the_environment_is_named(tmp_path):
    done = subprocess.run(
        ["sh"], input=render(Job(NAME, 1, 100, programs="/nowhere/bin"), Site(), str(tmp_path)), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 127
    assert "there is no Python in /nowhere/bin on " in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "bh-hub-12-0123456789\n#SBATCH"}, "name"),
        ({"cores": True}, "cores"),
        ({"cores": "4"}, "cores"),
        ({"cores": 0}, "cores"),
        ({"memory_mb": 2**50}, "memory_mb"),
        ({"minutes": 1.5}, "minutes"),
        ({"account": "a b"}, "account"),
        ({"account": "-x"}, "account"),
        ({"partitions": ["a", "b\nc"]}, "partitions"),
        ({"partitions": "short"}, "partitions"),
        ({"constraint": "a\nb"}, "constraint"),
        ({"programs": "relative"}, "programs"),
        ({"programs": "/a'b"}, "programs"),
        ({"modules": ["x;y"]}, "modules"),
        ({"script": "x"}, "script"),
    ],
)
def test_a_value_that_no_job_can_have_is_named(change, said):
    with pytest.raises(NoJob, match=said):
        jobscript.read({**asdict(FULL), **change}, Job)


def test_values_read_back_are_the_job():
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(FULL).items()}
    assert jobscript.read(values, Job) == FULL


KINDS = [
    (system, field)
    for system in SYSTEMS.values()
    for field, value in asdict(system.Job(NAME, 1, 1)).items()
    if isinstance(value, (str, tuple))
]


@settings(max_examples=10_000, deadline=None)
@given(st.sampled_from(KINDS), NASTY)
def test_no_value_adds_a_line_or_a_word_to_the_script(kind, text):
    system, field = kind
    value = [text] if field in ("partitions", "modules") else text
    try:
        job = jobscript.read({"name": NAME, "cores": 2, "memory_mb": 1, "gpus": 1, field: value}, system.Job)
    except NoJob:
        return
    script = render(job, Site(runtime="apptainer"))
    plain = render(system.Job(NAME, 2, 1, gpus=1))
    lines = [line.removeprefix(system.DIRECTIVE) for line in script.splitlines() if line.startswith("#")][1:]
    known = [line.removeprefix(system.DIRECTIVE) for line in plain.splitlines() if line.startswith("#")][1:]
    assert script.count("\n#") == len(lines) <= len(known) + 1
    assert all(len(shlex.split(line)) <= (3 if line.startswith(" -pe ") else 2) for line in lines)
    assert not any(word in script for word in ("--uid", "-t 1-9"))


@pytest.mark.parametrize("folder", ["/home/a b", "/home/a\nb", "/home/a'b", "relative", "/home/$HOME"])
def test_a_folder_that_no_directive_can_hold_is_refused(folder):
    with pytest.raises(NoJob, match="folder"):
        render(Job(NAME, 1, 1), Site(), folder)


def test_a_percent_sign_in_a_folder_is_no_pattern():
    assert "--output=/home/50%%/x/job.log" in render(Job(NAME, 1, 1), Site(), "/home/50%/x")


@pytest.mark.parametrize("directive", ["x", "--a\nb", "--a=\x00"])
def test_a_directive_that_is_none_is_refused(directive):
    with pytest.raises(NoJob, match="directive"):
        render(Job(NAME, 1, 1), Site((directive,)))


@pytest.mark.parametrize(
    ("runtime", "line"),
    [
        ("charliecloud", 'exec ch-run --home --bind=/beamline /images/scipy -- "$python"'),
        ("apptainer", 'exec apptainer exec --bind=/beamline /images/scipy "$python"'),
        (
            "podman",
            "exec podman run --rm --network=host --userns=keep-id --env=HOME --bind=/beamline "
            '--volume="$HOME:$HOME" /images/scipy "$python"',
        ),
    ],
)
def test_an_image_is_run_by_the_runtime_of_the_site(runtime, line):
    site = Site(runtime=runtime, runtime_options=("--bind=/beamline",))
    script = render(Job(NAME, 1, 1, image="/images/scipy"), site)
    assert script.splitlines()[-1] == f"{line} -I -S {FOLDER}/bootstrap.py {FOLDER}"


@pytest.mark.parametrize("site", [Site(), Site(runtime="docker"), Site(runtime="podman", runtime_options=("x y",))])
def test_an_image_where_nothing_runs_it_is_refused(site):
    with pytest.raises(NoJob, match="runtime"):
        render(Job(NAME, 1, 1, image="scipy"), site)


@pytest.mark.parametrize("image", ["-v/:/x", "a b", "a;b", "$(x)", "a\nb"])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(NoJob, match="image"):
        jobscript.read({"name": NAME, "cores": 1, "memory_mb": 1, "image": image}, Job)
