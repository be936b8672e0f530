"""A regional centre: one kind of server for all, submitted by ssh on a login node, software from a module."""

import batchspawner  # noqa: F401 - its route

c = get_config()  # noqa: F821
c.JupyterHub.bind_url = "https://0.0.0.0:8000"
c.JupyterHub.hub_ip = "0.0.0.0"  # noqa: S104
c.JupyterHub.hub_connect_ip = "hub.cluster.example"
c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
c.Spawner.http_timeout = 120
c.BatchSpawnerBase.req_partition = "old,fast_mpi"
c.BatchSpawnerBase.req_runtime = "2:00:00"
c.BatchSpawnerBase.req_memory = "2G"
c.BatchSpawnerBase.req_nprocs = "1"
c.BatchSpawnerBase.req_prologue = """
module load Lab/4.2-foss-2024a
"""
c.SlurmSpawner.exec_prefix = "sudo -E -u {username} ssh "
c.SlurmSpawner.exec_prefix += "-o 'BatchMode yes' login.cluster.example "
c.SlurmSpawner.batch_query_cmd = r"squeue -h -j {job_id} -o \'%T %B\'"
kept = " ".join(f'{name}=\\"${{{name}@Q}}\\"' for name in ("JUPYTERHUB_API_TOKEN", "JUPYTERHUB_API_URL"))
c.SlurmSpawner.batch_submit_cmd = "{% raw %}env " + kept + "{% endraw %} sbatch --parsable"
c.SlurmSpawner.req_srun = "srun --export=ALL"
c.SlurmSpawner.state_exechost_exp = r"\1.cluster.example"
