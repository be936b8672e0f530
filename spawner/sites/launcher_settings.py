"""What the launcher knows by itself, and how Hub and launcher notice that they do not know the same."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from beamhub.spawner import bootstrap
from beamhub.spawner.catalogue import Catalogue
from beamhub.spawner.sites import courier, gridengine_jobs, jobscript, launcher, slurm_jobs, systems
from beamhub.spawner.sites.batch_config import BatchConfig

PARTS = {
    Path(str(one.__file__)).stem: Path(str(one.__file__))
    for one in (courier, jobscript, launcher, systems, slurm_jobs, gridengine_jobs)
}  # the files that the launcher is made of, by their names
KEYS = (
    "token_dir", "commands", "directives", "module_init", "prologue", "epilogue", "runtime", "runtime_options",
)  # fmt: skip


def settings_of(catalogue: Catalogue, hub: str) -> dict[str, Any]:
    """The Hub's name, the first program of each job, and what the operator wrote of each batch site."""
    batch = {name: site for name, site in catalogue.sites.items() if isinstance(site, BatchConfig)}
    sites = {name: {**_of(site), "digest": digest(site)} for name, site in batch.items()}
    return {"hub": hub, "bootstrap": _bootstrap(), "sites": sites}


def digest(site: BatchConfig) -> str:
    """Another one for other settings of a site, another first program, or another launcher."""
    parts = [path.read_text(encoding="utf-8") for path in PARTS.values()]
    return sha256(json.dumps([_of(site), _bootstrap(), parts], sort_keys=True).encode()).hexdigest()[:16]


def _of(site: BatchConfig) -> dict[str, Any]:
    return {**{key: getattr(site, key) for key in KEYS}, "system": site.kind, "environment": site.needs()}


def _bootstrap() -> str:
    return Path(bootstrap.__file__).read_text(encoding="utf-8")
