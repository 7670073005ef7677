"""A report for machines: every number under a name, None where there is none."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sweeper.analysis import shown
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.verdict import Verdict


def record(results: Results, numbers: Numbers) -> dict[str, Any]:
    """The report's numbers as plain values: what `sweeper report --format json` prints."""
    experiment = results.experiment
    return {
        "name": results.name,
        "state": results.state.value,
        "created_at": shown.iso(results.info.created_at),
        "objective": experiment.objective,
        "experiment": experiment.text,
        "imported": asdict(experiment.imported) if experiment.imported else None,
        "facts": dict(results.facts),
        "progress": asdict(numbers.progress),
        "summary": shown.rows(numbers.summary),
        "verdict": verdict(numbers.verdict),
        "finals": shown.rows(numbers.points),
        "by_batch_size": shown.rows(numbers.by_batch_size),
        "independent": {"reason": numbers.independent.reason, "note": numbers.independent.note},
        "expected_best": {name: shown.rows(curve) for name, curve in numbers.expected.items()},
        "win_probability": shown.rows(numbers.wins),
        "incumbents": shown.rows(numbers.incumbents),
        "learning_curves": shown.rows(numbers.curves),
        "time_to_target": _times(numbers),
        "lr_sensitivity": {
            "optimizers": shown.rows(numbers.sensitivity),
            "half_decades": shown.rows(numbers.lr_bins),
        },
        "importances": {name: dict(shares) for name, shares in numbers.importances.items()},
        "warnings": [asdict(one) for one in numbers.cautions],
        "claims": [asdict(one) for one in numbers.claims],
        "costs": shown.rows(numbers.ledger),
        "paid": {key: shown.plain(value) for key, value in asdict(numbers.paid).items()},
        "best": {name: best.record() for name, best in numbers.bests.items()},
    }


def verdict(found: Verdict) -> dict[str, Any]:
    """The verdict as plain values; without one `against` and `pairs` are None, and `lines` say why."""
    return {
        "leader": found.leader,
        "lines": list(found.lines),
        "against": None if found.against is None else shown.rows(found.against),
        "pairs": None if found.pairs is None else shown.rows(found.pairs),
        "win_probability": _series(found.win_probability),
    }


def _series(values: Any) -> Mapping[str, float] | None:
    return None if values is None else {str(name): float(value) for name, value in values.items()}


def _times(numbers: Numbers) -> list[dict[str, Any]]:
    return [
        {
            "target": target,
            "by": unit,
            "derived": numbers.targets_are_derived,
            "optimizers": shown.rows(frame),
        }
        for (target, unit), frame in numbers.times.items()
    ]
