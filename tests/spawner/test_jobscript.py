import shlex
import shutil
import subprocess
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamhub.spawner.sites import jobscript
from beamhub.spawner.sites.jobscript import Job, NoJob, Site

NAME = "bh-hub-12-0123456789"
FOLDER = f"/home/anna/.beamhub/{NAME}"
FULL = Job(
    NAME, 4, 8192, 240, 2, "gpu:a100", ("short", "long"), "physics", "normal", "course", "cpu&avx2",
    "/software/scipy/bin", ("gcc/12.2", "hdf5"),
)  # fmt: skip
OPERATOR = Site(("--comment=jupyter", "-x node1"), "/etc/profile.d/modules.sh", "echo before", "echo after")
NASTY = st.text(st.sampled_from("'\"`$\n;&|\\ a\0"), max_size=6) | st.sampled_from(
    ["a\n#SBATCH --uid=0", "$(reboot)", "-x"]
)


def test_what_is_asked_for_stands_in_directives():
    script = jobscript.render(FULL, Site(), FOLDER)
    asked = [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]
    assert asked == [
        f"--job-name={NAME}", f"--output={FOLDER}/job.log", "--open-mode=append", "--no-requeue", "--nodes=1",
        "--ntasks=1", "--cpus-per-task=4", "--mem=8192M", "--partition=short,long", "--account=physics", "--qos=normal",
        "--reservation=course", "--constraint=cpu&avx2", "--time=240", "--gres=gpu:a100:2",
    ]  # fmt: skip
    assert script.splitlines()[-1] == f'exec "$python" -I -S {FOLDER}/bootstrap.py {FOLDER}'


def test_what_is_not_asked_for_does_not_stand_there():
    script = jobscript.render(Job(NAME, 1, 100), Site(), FOLDER)
    assert not any(word in script for word in ("--partition", "--time", "--gres", "--account", "module"))


def test_what_the_operator_wrote_stands_around_the_server():
    lines = jobscript.render(FULL, OPERATOR, FOLDER).splitlines()
    assert "#SBATCH --comment=jupyter" in lines
    order = [
        lines.index(one)
        for one in (". /etc/profile.d/modules.sh", "module load gcc/12.2 hdf5 || exit 1", "echo before")
    ]
    assert order == sorted(order)
    assert lines[-2:] == ["echo after", 'exit "$code"']


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("site", [Site(), OPERATOR], ids=["bare", "operator"])
@pytest.mark.parametrize("job", [FULL, Job(NAME, 1, 100)], ids=["full", "small"])
def test_the_script_is_clean_for_shellcheck(tmp_path, job, site, shell):
    script = tmp_path / "job.sh"
    script.write_text(jobscript.render(job, site, FOLDER))
    subprocess.run([shell, "-n", script], check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "-s", shell, "-e", "SC1091", script], capture_output=True, text=True, check=False
        )
        assert done.stdout == ""


def test_the_code_of_the_server_is_that_of_the_job_also_with_an_epilogue(tmp_path):
    (tmp_path / "bootstrap.py").write_text("raise SystemExit(7)")
    script = jobscript.render(Job(NAME, 1, 100), Site(epilogue="echo after"), str(tmp_path))
    done = subprocess.run(["sh"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, "after\n")


def test_a_node_without_the_environment_is_named(tmp_path):
    done = subprocess.run(
        ["sh"], input=jobscript.render(Job(NAME, 1, 100, programs="/nowhere/bin"), Site(), str(tmp_path)), text=True,
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
        jobscript.read({**asdict(FULL), **change})


def test_values_read_back_are_the_job():
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(FULL).items()}
    assert jobscript.read(values) == FULL


@settings(max_examples=10_000, deadline=None)
@given(
    st.sampled_from(
        ["account", "qos", "reservation", "gres", "constraint", "programs", "partitions", "modules", "name", "image"]
    ),
    NASTY,
)
def test_no_value_adds_a_line_or_a_word_to_the_script(field, text):
    value = [text] if field in ("partitions", "modules") else text
    try:
        job = jobscript.read({"name": NAME, "cores": 1, "memory_mb": 1, field: value})
    except NoJob:
        return
    script = jobscript.render(job, Site(runtime="apptainer"), FOLDER)
    plain = jobscript.render(Job(NAME, 1, 1), Site(), FOLDER)
    directives = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert all(len(shlex.split(line, comments=False)) == 2 for line in directives)
    assert len(directives) <= plain.count("#SBATCH") + 1
    assert "--uid" not in script


@pytest.mark.parametrize("folder", ["/home/a b", "/home/a\nb", "/home/a'b", "relative", "/home/$HOME"])
def test_a_folder_that_no_directive_can_hold_is_refused(folder):
    with pytest.raises(NoJob, match="folder"):
        jobscript.render(Job(NAME, 1, 1), Site(), folder)


def test_a_percent_sign_in_a_folder_is_no_pattern():
    assert "--output=/home/50%%/x/job.log" in jobscript.render(Job(NAME, 1, 1), Site(), "/home/50%/x")


@pytest.mark.parametrize("directive", ["x", "--a\nb", "--a=\x00"])
def test_a_directive_that_is_none_is_refused(directive):
    with pytest.raises(NoJob, match="directive"):
        jobscript.render(Job(NAME, 1, 1), Site((directive,)), FOLDER)


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
    script = jobscript.render(Job(NAME, 1, 1, image="/images/scipy"), site, FOLDER)
    assert script.splitlines()[-1] == f"{line} -I -S {FOLDER}/bootstrap.py {FOLDER}"


@pytest.mark.parametrize("site", [Site(), Site(runtime="docker"), Site(runtime="podman", runtime_options=("x y",))])
def test_an_image_where_nothing_runs_it_is_refused(site):
    with pytest.raises(NoJob, match="runtime"):
        jobscript.render(Job(NAME, 1, 1, image="scipy"), site, FOLDER)


@pytest.mark.parametrize("image", ["-v/:/x", "a b", "a;b", "$(x)", "a\nb"])
def test_what_is_no_image_is_refused(image):
    with pytest.raises(NoJob, match="image"):
        jobscript.read({"name": NAME, "cores": 1, "memory_mb": 1, "image": image})
