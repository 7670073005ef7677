"""The numbers that a monitoring system sees of a running sweep, and the settings that show them."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweeper import metrics
from sweeper.experiment import Experiment
from sweeper.metrics import Kind, Meter, Metric, TrainingShare
from sweeper.records import EpochRecord, FinalScore, Origin, Phase, StoredTrial, Trial, TrialKey, TrialState

MakeExperiment = Callable[..., Experiment]
MakeTrial = Callable[..., Trial]
MakeRecord = Callable[..., EpochRecord]

DASHBOARDS = Path(__file__).parent.parent / "dashboards"


class Kept:
    """Keeps gauges as they stand, and adds the others up."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def set(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        assert metric.kind is Kind.GAUGE
        assert math.isfinite(value)
        self._keep(metric, value, labels)

    def add(self, metric: Metric, amount: float, labels: Mapping[str, str]) -> None:
        assert metric.kind is Kind.COUNTER
        assert amount > 0
        self._keep(metric, amount + self.values.get((metric.name, frozenset(labels.items())), 0), labels)

    def observe(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        assert metric.kind is Kind.HISTOGRAM
        self._keep(metric, value, labels)

    def _keep(self, metric: Metric, value: float, labels: Mapping[str, str]) -> None:
        assert labels.keys() == {"sweep", *metric.labels}
        self.values[metric.name, frozenset(labels.items())] = value

    def of(self, metric: Metric, **labels: str) -> float | None:
        return self.values.get((metric.name, frozenset({"sweep": "s", **labels}.items())))


def metered(
    experiment: Experiment, *known: StoredTrial, clock: Callable[[], float] = lambda: 0.0
) -> tuple[Kept, Meter]:
    kept = Kept()
    meter = Meter("s", experiment, known, kept, n_workers=lambda: 3, n_unwritten=lambda: 7, clock=clock)
    return kept, meter


def count(kept: Kept, state: str, phase: str = "search", optimizer: str = "adam") -> float | None:
    return kept.of(metrics.TRIALS, optimizer=optimizer, phase=phase, state=state)


def test_a_trial_is_counted_in_the_state_that_it_is_in(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    kept, meter = metered(tiny)
    trial = make_trial("adam", 1)
    meter.advanced(trial, [make_record(1), make_record(2)])
    assert (count(kept, "running"), count(kept, "complete")) == (1, None)
    assert kept.of(metrics.EPOCHS, optimizer="adam") == 2
    assert (kept.of(metrics.WORKERS), kept.of(metrics.UNWRITTEN)) == (3, 7)
    meter.finished(trial, TrialState.COMPLETE, make_record(2), None)
    assert (count(kept, "running"), count(kept, "complete")) == (0, 1)
    best = kept.of(metrics.BEST, optimizer="adam", objective="val_loss")
    assert best == tiny.score(make_record(2).val_loss)


def test_a_lost_attempt_runs_no_more_and_its_epochs_were_recorded_nonetheless(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    kept, meter = metered(tiny)
    trial = make_trial("adam", 1)
    meter.advanced(trial, [make_record(1)])
    meter.lost(trial.key, 1, "its process died")
    meter.lost(make_trial("adam", 2).key, 1, "lost before it reported anything")
    assert count(kept, "running") == 0
    assert kept.of(metrics.LOST, optimizer="adam") == 2
    meter.advanced(trial, [make_record(1), make_record(2)])
    assert kept.of(metrics.EPOCHS, optimizer="adam") == 3
    assert count(kept, "running") == 1


def test_a_diverged_trial_counts_as_chance_and_is_no_broken_number(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    kept, meter = metered(tiny)
    meter.finished(make_trial("adam", 1), TrialState.DIVERGED, make_record(1, val_loss=math.nan), None)
    assert count(kept, "diverged") == 1
    assert kept.of(metrics.BEST, optimizer="adam", objective="val_loss") == pytest.approx(math.log(10))


def test_a_resumed_sweep_goes_on_from_what_is_stored(
    tiny: Experiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    def stored(number: int, state: TrialState, loss: float) -> StoredTrial:
        done = make_trial("adam", number)
        return StoredTrial(done, state, 1, 0, 2, loss, loss, 0.5, None)

    kept, meter = metered(tiny, stored(1, TrialState.COMPLETE, 1.25), stored(2, TrialState.QUEUED, 0.1))
    assert (count(kept, "complete"), count(kept, "queued")) == (1, None)
    assert kept.of(metrics.BEST, optimizer="adam", objective="val_loss") == 1.25
    meter.finished(make_trial("adam", 2), TrialState.COMPLETE, make_record(2, val_loss=1.5), None)
    assert count(kept, "complete") == 2
    assert kept.of(metrics.BEST, optimizer="adam", objective="val_loss") == 1.25


def test_finals_are_planned_once_they_are_chosen_and_counted_apart(
    make_experiment: MakeExperiment, make_trial: MakeTrial, make_record: MakeRecord
) -> None:
    experiment = make_experiment("final.top_k=1", "final.seeds=2")
    kept, meter = metered(experiment)
    meter.finals_chosen(24, 24)
    assert kept.of(metrics.PLANNED) == experiment.n_trials + 24
    search = make_trial("adam", 0)
    final = replace(search, key=TrialKey("adam", Phase.FINAL, 0), origin=Origin.FINAL)
    meter.finished(final, TrialState.COMPLETE, make_record(2), FinalScore(1.0, 0.5))
    assert (count(kept, "complete", "final"), count(kept, "complete")) == (1, None)


def test_the_share_of_training_is_what_was_trained_of_what_workers_had() -> None:
    now = [100.0]
    share = TrainingShare(lambda: now[0])
    assert share.after(5.0, 2) is None  # nobody knows since when
    now[0] = 101.0
    assert share.after(1.0, 2) == 0.5  # one second of two workers
    assert share.after(0.5, 2) == 0.75  # at the same moment, another worker
    now[0] = 201.0  # more than a minute later, all that is forgotten
    assert share.after(40.0, 2) == 0.2


ENDINGS = {Kind.GAUGE: "", Kind.COUNTER: "_total", Kind.HISTOGRAM: "_bucket"}


def exported_name(metric: Metric) -> str:
    """What Ray and Prometheus make of its name."""
    return f"ray_{metric.name}{ENDINGS[metric.kind]}"


def test_every_metric_is_documented_as_it_is() -> None:
    text = (DASHBOARDS.parent / "docs" / "metrics.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `ray_")]
    assert rows == [
        f"| `{exported_name(metric)}` | {metric.kind} | "
        f"{', '.join(f'`{label}`' for label in ('sweep', *metric.labels))} | {metric.description} |"
        for metric in metrics.METRICS
    ]


def test_every_metric_that_grafana_shows_is_one_and_every_one_is_shown() -> None:
    exported = {exported_name(metric) for metric in metrics.METRICS}
    dashboard: dict[str, Any] = json.loads((DASHBOARDS / "grafana" / "sweeper.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert set(re.findall(r"ray_sweeper_\w+", " ".join(expressions))) == exported
    labels = {label for metric in metrics.METRICS for label in metric.labels} | {"sweep", "le"}
    for expression in expressions:
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        assert grouped, "a restarted coordinator's series stand beside the old ones for a while"
        assert {label.strip() for group in grouped for label in group.split(",")} <= labels
        assert expression.count("(") == expression.count(")")
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_prometheus_finds_rays_nodes_by_http_with_the_token() -> None:
    settings = yaml.safe_load((DASHBOARDS / "prometheus" / "prometheus.yml").read_text())
    [job] = settings["scrape_configs"]
    [discovery] = job["http_sd_configs"]
    assert discovery["url"].endswith(":8265/api/prometheus/sd")
    assert discovery["authorization"] == {"type": "Bearer", "credentials_file": "/run/secrets/ray_token"}


def test_grafanas_dashboard_asks_the_data_source_that_is_provisioned() -> None:
    provisioning = DASHBOARDS / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["name"] == "Prometheus"  # what Ray's own dashboards ask
    dashboard = json.loads((DASHBOARDS / "grafana" / "sweeper.json").read_text())
    used = {target["datasource"]["uid"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert used == {source["uid"]}
