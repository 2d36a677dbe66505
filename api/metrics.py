"""Metrics for Prometheus: requests by method, route template and status, and what is left to do."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.backend import Backlog
from domain.refusals import Unavailable

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own variable: where set, the processes of a server are added up."""


class Metrics:
    """The counters of one application."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, backlog: Callable[[], Backlog] | None = None) -> None:
        """Count in a registry of one's own; `backlog` is asked whenever somebody looks."""
        self._left = Left(backlog)
        self._registry = CollectorRegistry()
        self._registry.register(self._left)
        self._requests = Counter(
            "twinlock_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "twinlock_request_seconds", "Time to answer", ("route",), registry=self._registry
        )
        self._children = cache(self._find)  # looking one up costs more than counting

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one answer."""
        counter, histogram = self._children(method, route, status)
        counter.inc()
        histogram.observe(seconds)

    def _find(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(method, route, str(status)), self._seconds.labels(route)

    def text(self) -> bytes:
        """What /metrics shows."""
        if MULTIPROCESS not in os.environ:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._left)
        return generate_latest(registry)


class Left(Collector):
    """What is left to do, asked of the database at each look; nothing while that is away."""

    def __init__(self, backlog: Callable[[], Backlog] | None) -> None:
        self._backlog = backlog

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        if self._backlog is None:
            return
        try:
            left = self._backlog()
        except Unavailable:
            return
        yield _by_model("twinlock_events_behind", "Events not applied, 10,000 at most", left.behind)
        yield _by_model("twinlock_parked_records", "Records set aside", left.parked)
        yield GaugeMetricFamily(
            "twinlock_mails_overdue", "Mails late or tried in vain", value=left.overdue_mails
        )


def _by_model(name: str, told: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, told, labels=["model"])
    for model, count in counts.items():
        gauge.add_metric([model], count)
    return gauge
