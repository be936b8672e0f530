"""A university's cluster: a list of profiles, made by code, one for each size and each user interface."""

import copy
import os

c = get_config()  # noqa: F821
here = os.path.dirname(__file__)
c.JupyterHub.hub_ip = "10.8.0.4"
c.JupyterHub.hub_port = 8083
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.SlurmSpawner.batchspawner_singleuser_cmd = "/apps/hub/bin/batchspawner-singleuser"
c.Spawner.http_timeout = 90
c.Spawner.start_timeout = 240
c.Spawner.startup_poll_interval = 2
c.Spawner.notebook_dir = "~/work"

before = """
# so that compiled caches are readable for the group
set +euo pipefail
umask 0027
unset XDG_RUNTIME_DIR
if [ -d "$HOME/lab" ] ; then
    export JUPYTERLAB_DIR="$HOME/lab"
fi
source /apps/hub/tree.sh
"""
shared = {
    "cmd": "/apps/hub/bin/jupyterhub-singleuser --FileContentsManager.delete_to_trash=False",
    "req_nprocs": "2",
    "req_options": "",
    "req_partition": "shared",
    "req_prologue": before,
    "req_srun": "",
    "req_workdir": "/scratch/{user}",
}
small = {"req_partition": "long,spare", "req_memory": "2200"}
sizes = [
    ["Five days, 2 GB", "days", "batchspawner.SlurmSpawner", {**shared, **small, "req_runtime": "5-0"}],
    ["Ten hours, 2 GB", "hours", "batchspawner.SlurmSpawner", {**shared, **small, "req_runtime": "0-10"}],
    [
        "Four hours, 80 GB", "large", "batchspawner.SlurmSpawner",
        {**shared, "req_partition": "short", "req_memory": "80G", "req_runtime": "0-4", "cull_after": 900},
    ],
]  # fmt: skip
classic = copy.deepcopy(sizes)
for row in sizes:
    row[3]["default_url"] = "lab"
for row in classic:
    row[0], row[1], row[3]["default_url"] = f"(classic) {row[0]}", f"{row[1]}_classic", "tree"
c.ProfilesSpawner.profiles = sizes + classic
