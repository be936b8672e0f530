"""A university with several clusters under one Slurm, all options of a job in one line, and a place beside it."""

import os

c = get_config()  # noqa: F821
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.JupyterHub.hub_ip = os.environ["HUB_ADDRESS"]
c.Spawner.ip = "0.0.0.0"  # noqa: S104
c.Spawner.env_keep = ["PATH"]
c.SlurmSpawner.batch_query_cmd = "squeue -M {cluster} -h -j {job_id} -o '%T %B'"
c.SlurmSpawner.batch_cancel_cmd = "scancel -M {cluster} {job_id}"
lesson = {"req_cluster": "lessons", "req_partition": "gpu", "req_runtime": "3:00:00", "req_srun": ""}
c.ProfilesSpawner.profiles = [
    ("On this computer", "local", "jupyterhub.spawner.LocalProcessSpawner", {"ip": "0.0.0.0"}),  # noqa: S104
    (
        "Lessons, 1 GPU", "lessons", "batchspawner.SlurmSpawner",
        {**lesson, "req_options": "-c 2 --mem=24G --gres=gpu:1 --comment='from the Hub'"},
    ),
]  # fmt: skip
