"""Placement: where a server starts first; a pure decision over the sites' estimates."""

from collections.abc import Mapping, Sequence

from beamhub.config.mistakes import did_you_mean
from beamhub.spawner.errors import Refused
from beamhub.spawner.sites.site import Estimate

UNKNOWN_S = 24 * 3600.0  # a start that nobody can tell comes after one that can be told


def place(sites: Sequence[str], wanted: str, estimates: Mapping[str, Estimate], titles: Mapping[str, str]) -> str:
    """Choose the site.

    Args:
        sites: those of the profile, in order of preference when starts are equal.
        wanted: the one that was asked for, "" for wherever it starts first.
        estimates: by site; one without counts as unknown.
        titles: what people call the sites.

    Raises:
        Refused: the wanted one is none of them or down, or all are down.
    """
    if wanted:
        if wanted not in sites:
            raise Refused(f"there is no '{wanted[:40]}' for this profile; {did_you_mean(wanted, sites)}")
        if (estimate := estimates.get(wanted)) is not None and estimate.kind == "down":
            raise Refused(f"{titles[wanted]} is not available now: {estimate.message or 'it does not answer'}")
        return wanted
    up = [name for name in sites if _estimate(estimates, name).kind != "down"]
    if not up:
        reasons = "; ".join(f"{titles[name]}: {_estimate(estimates, name).message or 'down'}" for name in sites)
        raise Refused(f"nothing is available now for this profile ({reasons}). Try another, or later.")
    return min(up, key=lambda name: (waiting(_estimate(estimates, name)), list(sites).index(name)))


def waiting(estimate: Estimate) -> float:
    """Seconds by which sites are compared."""
    if estimate.kind == "now":
        return 0.0
    return estimate.high_s if estimate.kind == "about" else UNKNOWN_S


def in_words(estimate: Estimate) -> str:
    """When it would start, for people.

    >>> in_words(Estimate("about", 600, 1500, "what 9 starts waited lately"))
    'in about 10 to 25 min (by what 9 starts waited lately)'
    """
    if estimate.kind == "now":
        return "starts now"
    if estimate.kind == "down":
        return f"not available: {estimate.message}" if estimate.message else "not available now"
    if estimate.kind == "about":
        low, high = _minutes(estimate.low_s), _minutes(estimate.high_s)
        span = f"in about {low} to {high} min" if low != high else f"in about {low} min"
        return f"{span} (by {estimate.source})" if estimate.source else span
    return "when it starts cannot be told"


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


def _estimate(estimates: Mapping[str, Estimate], name: str) -> Estimate:
    return estimates.get(name) or Estimate("unknown")
