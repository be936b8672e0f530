"""A real Jupyter server with the extension, in a process of its own.

with jupyter(folder, BEAMHUB_SERVICE_URL=…, JUPYTERHUB_API_TOKEN=…) as client:
    client.get("hello")              # as its owner's page would ask
    client.log()
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from services.ports import free_port

OURS = "page-token"


@contextlib.contextmanager
def jupyter(folder: Path, program: str = "jupyter_server", **environment: str) -> Iterator[httpx.Client]:
    """A Jupyter server, or JupyterLab, with the extension; the client asks it as its owner's page would."""
    port = free_port()
    dirs = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    command = [
        sys.executable, "-m", program, f"--ServerApp.port={port}", f"--IdentityProvider.token={OURS}",
        "--allow-root",
        "--ServerApp.open_browser=False", "--ServerApp.jpserver_extensions={'beamhub.server_extension': True}",
    ]  # fmt: skip
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB", "BEAMHUB"))}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env={**clean, **dirs, **environment}, stdout=log, stderr=log)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/beamhub/api/", headers={"Authorization": f"token {OURS}"}, timeout=20
    )
    try:
        for _ in range(300):
            with contextlib.suppress(httpx.HTTPError):
                if client.get("hello").status_code != 404:
                    break
            assert process.poll() is None, (folder / "server.log").read_text()
            time.sleep(0.1)
        client.log = lambda: (folder / "server.log").read_text()
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def events(client: httpx.Client, query: str, until: int, within: float = 20) -> list[tuple[str, dict]]:
    """What a stream says, up to a number of events."""
    found: list[tuple[str, dict]] = []
    with client.stream("GET", f"changes?{query}", timeout=httpx.Timeout(5, read=within)) as answer:
        text = ""
        for part in answer.iter_text():
            text += part
            *whole, text = text.split("\n\n")
            for one in whole:
                found.append((re.search("event: (.*)", one)[1], json.loads(re.search("data: (.*)", one)[1])))
            if len(found) >= until:
                return found
    return found
