"""Numbers of the service for operators, in Prometheus' text format."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

STATES = ("queued", "running", "done", "failed", "cancelled")


class Metrics:
    """What is counted while the service lives; runs by state come from the store when somebody asks."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.files = Counter("beamhub_files", "Files that were new when their event was taken in.", registry=registry)
        self.events = Counter("beamhub_events", "Events by source.", ["source"], registry=registry)
        self.requests = Histogram(
            "beamhub_request_seconds",
            "Requests of the API.",
            ["method", "handler", "status"],
            registry=registry,
        )
        self.streams = Gauge("beamhub_streams", "Change streams that are open.", registry=registry)
        self._runs = Gauge("beamhub_runs", "Runs by state.", ["state"], registry=registry)
        self._head = Gauge("beamhub_feed_head", "The number of the last change.", registry=registry)

    def text(self, states: Mapping[str, int], head: int) -> bytes:
        """All numbers, with these runs by state and this position of the feed."""
        for state in STATES:
            self._runs.labels(state).set(states.get(state, 0))
        self._head.set(head)
        return generate_latest(self._registry)
