"""What is carried to a site for one start: command, environment, and the secret that only this start knows."""

import hmac
from datetime import UTC, datetime

from beamhub.spawner import announce
from beamhub.spawner.hublines import service_url
from beamhub.spawner.plan import SpawnPlan
from beamhub.spawner.sites.site import Launch, SiteMixin
from beamhub.spawner.state import Start


def launch(child: SiteMixin, begun: Start, plan: SpawnPlan, secret: str) -> Launch:
    """All that the site needs; the token leaves the environment, it travels in a file of its own."""
    environment = {key: str(value) for key, value in child.get_env().items() if value is not None}
    token = environment.pop("JUPYTERHUB_API_TOKEN")
    environment.pop("JPY_API_TOKEN", None)
    return Launch(
        job=begun.job,
        plan=plan,
        command=(*child.cmd, *child.get_args()),
        environment={**environment, **beamhub_environment(begun, child.site.config.service_url)},
        announce_url=environment["JUPYTERHUB_API_URL"] + announce.PATH.removeprefix("/api"),
        token=token,
        secret=secret,
        ends_at=begun.ends_at,
    )


def beamhub_environment(begun: Start, configured_service: str) -> dict[str, str]:
    """What BeamHub's own parts inside the server go by; a variable without a value is left out."""
    ends = datetime.fromtimestamp(begun.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if begun.ends_at else ""
    found = {
        "BEAMHUB_SERVICE_URL": service_url(configured_service),
        "BEAMHUB_ENDS_AT": ends,
        "BEAMHUB_SITE": begun.site,
        "BEAMHUB_PROFILE": begun.profile,
    }
    return {key: value for key, value in found.items() if value}


def secret_of(key: bytes, job: str) -> str:
    """The secret of one start, made from the Hub's own: a restarted Hub knows it, and it is kept nowhere."""
    return hmac.new(key, b"beamhub start " + job.encode(), "sha256").hexdigest()
