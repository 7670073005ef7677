"""Metrics by way of Ray: each node's agent exports them to Prometheus, with `ray_` before their names."""

import threading
from collections.abc import Mapping
from typing import Any

from ray.util.metrics import Counter, Gauge, Histogram

from sweeper.metrics import SECONDS, Kind, Metric

REPEAT_S = 2.0
"""Ray exports a gauge once each time that it was set, so all are set well within an export's period."""

Labels = tuple[tuple[str, str], ...]


class RaySink:
    """Keeps a metric of Ray for each that it is told of, from when Ray is connected until `close`."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}
        self._gauges: dict[tuple[Metric, Labels], float] = {}
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="sweeper-metrics", daemon=True)
        self._thread.start()

    def set(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """A gauge is at `value` now."""
        with self._lock:
            self._gauges[metric, tuple(labels.items())] = value

    def add(self, metric: Metric, amount: float, labels: Mapping[str, str]) -> None:
        """A counter grows by `amount`, which is above 0."""
        with self._lock:
            self._of(metric).inc(amount, dict(labels))

    def observe(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        """A histogram counts `value`."""
        with self._lock:
            self._of(metric).observe(value, dict(labels))

    def close(self) -> None:
        """Let the gauges go; to be called before Ray is left."""
        self._is_closed.set()
        self._thread.join()
        self._tell_gauges()

    def _repeat(self) -> None:
        while not self._is_closed.wait(REPEAT_S):
            self._tell_gauges()

    def _tell_gauges(self) -> None:
        with self._lock:
            for (metric, labels), value in self._gauges.items():
                self._of(metric).set(value, dict(labels))

    def _of(self, metric: Metric) -> Any:
        if metric.name not in self._made:
            labels = ("sweep", *metric.labels)
            if metric.kind is Kind.HISTOGRAM:
                made = Histogram(metric.name, metric.description, list(SECONDS), labels)
            else:
                made = {Kind.GAUGE: Gauge, Kind.COUNTER: Counter}[metric.kind](
                    metric.name, metric.description, labels
                )
            self._made[metric.name] = made
        return self._made[metric.name]
