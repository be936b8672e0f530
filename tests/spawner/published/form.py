"""A national centre: a class of its own with a form, and a script of its own that is filled in by its answers."""

from batchspawner import SlurmSpawner
from traitlets import Unicode

c = get_config()  # noqa: F821


class CentreSpawner(SlurmSpawner):
    """Asks people for their queue, time and account."""

    req_gres = Unicode("", config=True)

    def _options_form_default(self):
        return """
        <select name="queue"><option value="standard">whole node</option><option value="accel">GPUs</option></select>
        <select name="gpus"><option value="1">1</option><option value="2">2</option></select>
        <select name="runtime"><option value="1:00:00">1 h</option><option value="12:00:00">12 h</option></select>
        <input name="account">
        """

    def options_from_form(self, formdata):
        return {name: value[0] for name, value in formdata.items()} | {"other": ""}


c.JupyterHub.hub_ip = "0.0.0.0"  # noqa: S104
c.JupyterHub.spawner_class = CentreSpawner
c.SlurmSpawner.req_nprocs = "2"
c.SlurmSpawner.req_queue = "standard"
c.SlurmSpawner.req_runtime = "12:00:00"
c.SlurmSpawner.req_memory = "4gb"
c.SlurmSpawner.req_host = "login.centre.example"
c.SlurmSpawner.batch_script = """#!/bin/bash
#SBATCH --job-name="hub"
#SBATCH --output="hub.%j.%N.out"
#SBATCH --partition={queue}
#SBATCH --nodes=1
###SBATCH --ntasks-per-node=24
#SBATCH --time={runtime}
#SBATCH --export={keepvars}
#SBATCH --get-user-env=L
{other}

export PATH=/projects/python/bin:$PATH
export PYTHONPATH=;

KEY=$(mktemp)
echo "-----BEGIN OPENSSH PRIVATE KEY-----
not-a-key
-----END OPENSSH PRIVATE KEY-----" > $KEY
ssh -i $KEY -N -f -L 8081:localhost:8081 tunnel@hub.centre.example

{cmd}
"""
c.SlurmSpawner.batch_submit_cmd = 'env PROXY="/tmp/cert.{username}" gsissh {username}@{host} sbatch'
c.SlurmSpawner.batch_query_cmd = "gsissh {username}@{host} 'squeue -h -j {job_id} -o \"%T %B\"'"
c.SlurmSpawner.batch_cancel_cmd = "gsissh {username}@{host} scancel {job_id}"
c.SlurmSpawner.state_exechost_exp = r"\1.centre.example"
c.SlurmSpawner.cmd = ["python", "/projects/hub/jupyterhub-singleuser"]
c.SlurmSpawner.start_timeout = 7200
c.SlurmSpawner.startup_poll_interval = 5.0
