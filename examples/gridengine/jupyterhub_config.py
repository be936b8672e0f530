# A Hub whose servers are jobs of Grid Engine. It runs as the account jupyterhub, whose one right is a rule of sudo.
from beamhub.spawner import configure

c = get_config()

c.JupyterHub.bind_url = "http://:8000"
c.JupyterHub.cleanup_servers = False  # a restart of the Hub touches no job
c.JupyterHub.proxy_class = "beamhub.spawner.proxy.KeptTraefik"
c.Spawner.cmd = ["jupyterhub-singleuser"]

configure(c, catalogue="compute.yaml", hub="grid")
