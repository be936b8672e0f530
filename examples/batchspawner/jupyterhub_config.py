# A Hub that starts its servers with batchspawner: what `beamhub check --from` is given.
c = get_config()

c.JupyterHub.hub_ip = "10.0.0.5"
c.JupyterHub.spawner_class = "wrapspawner.ProfilesSpawner"
c.Spawner.start_timeout = 1800
c.SlurmSpawner.exec_prefix = "sudo -E -u {username}"
c.SlurmSpawner.req_account = "beamline"
c.SlurmSpawner.req_prologue = "source /etc/profile.d/modules.sh\nmodule load python/2026"
small = {"req_nprocs": "2", "req_memory": "8G", "req_runtime": "4:00:00"}
c.ProfilesSpawner.profiles = [
    ("Small", "small", "batchspawner.SlurmSpawner", {**small, "req_partition": "jhub"}),
    (
        "One GPU",
        "gpu",
        "batchspawner.SlurmSpawner",
        {**small, "req_partition": "gpu", "req_options": "--gres=gpu:a100:1 --exclusive"},
    ),
]
