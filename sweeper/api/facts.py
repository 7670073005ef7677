"""What a sweep's results depend on besides its experiment: versions, machine and data."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from sweeper import machine
from sweeper.errors import DataError, UsageError
from sweeper.records import Prior
from sweeper.training.data import Dataset

PACKAGES = ("sweeper", "torch", "optuna", "ray", "numpy", "pandas")
DECISIVE = ("torch", "optuna")
"""Packages whose version changes what a sweep proposes or computes."""


def describe(dataset: Dataset) -> dict[str, Any]:
    """The facts of a sweep that begins now."""
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in PACKAGES},
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": machine.processor(),
            "cores": os.cpu_count(),
        },
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "sha256": dataset.sha256,
            "train": len(dataset.train),
            "val": len(dataset.val),
            "test": len(dataset.test),
        },
    }


def warm_start(sweep: str, priors: Mapping[str, Sequence[Prior]]) -> dict[str, Any]:
    """The fact that a search began with what the earlier `sweep` knew: `priors` by optimizer."""
    known = {name: [[dict(p.proposal), p.score] for p in mine] for name, mine in priors.items()}
    return {"warm_start": {"sweep": sweep, "priors": known}}


def priors(facts: Mapping[str, Any]) -> dict[str, list[Prior]]:
    """What the search began with, by optimizer; nothing where it began cold."""
    known = facts.get("warm_start", {}).get("priors", {})
    return {name: [Prior(proposal, score) for proposal, score in mine] for name, mine in known.items()}


def warm_start_lines(facts: Mapping[str, Any]) -> list[str]:
    """What a search began with, in a line; none where it began cold."""
    if "warm_start" not in facts:
        return []
    known = ", ".join(f"{len(mine)} of {name}" for name, mine in facts["warm_start"]["priors"].items())
    sweep = facts["warm_start"]["sweep"]
    return [f"TPE began with what sweep {sweep} knew ({known}): those trials count in no number here"]


def check_unchanged(began: Mapping[str, Any], now: Mapping[str, Any], *, force: bool) -> list[str]:
    """Lines about what differs from when the sweep began.

    Raises DataError where the images do, and UsageError where torch or optuna do and not `force`.
    """
    if began["data"]["sha256"] != now["data"]["sha256"]:
        raise DataError(
            f"the images in {now['data']['source']} (sha256 {now['data']['sha256'][:12]}) "
            f"are not those that the sweep began with (sha256 {began['data']['sha256'][:12]})"
        )
    changed = {
        name: f"{name} {version} when the sweep began, {now['versions'].get(name)} now"
        for name, version in began["versions"].items()
        if version != now["versions"].get(name)
    }
    decisive = [line for name, line in changed.items() if name in DECISIVE]
    if decisive and not force:
        raise UsageError(f"{'; '.join(decisive)}: its trials may not compare; --force goes on all the same")
    return list(changed.values())
