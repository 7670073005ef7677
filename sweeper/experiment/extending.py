"""What of a stored sweep's experiment may be raised when it is resumed, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.errors import ExperimentError
from sweeper.experiment.model import Experiment
from sweeper.experiment.reading import from_document
from sweeper.experiment.wording import shown

MAY_GROW = ("budget.trials_per_optimizer", "budget.max_seconds", "final.seeds")


def extended(experiment: Experiment, settings: Sequence[str], *, source: str) -> Experiment:
    """The stored `experiment` with `settings` ("key=value") that ask for more of it.

    Spaces and everything else that was resolved at the first run stay as they were. Raises ExperimentError
    where a setting would change anything else, or ask for less: results would no longer compare.
    """
    if not settings:
        return experiment
    before = experiment.document()
    wanted = from_document(before, settings, source=source, text=experiment.text, is_resolved=True)
    after = wanted.document()
    problems = [
        f"{key} = {shown(new)}: {_why_not(key, old)}"
        for key, old, new in _changes(before, after)
        if key not in MAY_GROW or not _is_more(key, old, new)
    ]
    if problems:
        raise ExperimentError(source, problems)
    return wanted


def differences(stored: Experiment, wanted: Experiment) -> list[str]:
    """Where `wanted` isn't the experiment that a sweep is `stored` with: a line for each key, none for names.

    A sweep goes on with the stored one only, so another one under the same name is refused with these.
    """
    return [f"{key} is {there} there, {here} here" for key, there, here in differing(stored, wanted)]


def differing(one: Experiment, other: Experiment) -> list[tuple[str, str, str]]:
    """Every key but the name in which two experiments differ, with its value in `one` and in `other`."""
    there, here = _leaves(one.document()), _leaves(other.document())
    return [
        (key, _or_nothing(there, key), _or_nothing(here, key))
        for key in {**there, **here}
        if key != "experiment.name" and there.get(key) != here.get(key)
    ]


def growth(stored: Experiment, wanted: Experiment) -> list[str]:
    """The "key=value" by which the `stored` experiment grows to what is `wanted` of it; it never shrinks."""
    before, after = _leaves(stored.document()), _leaves(wanted.document())
    changed = [key for key in MAY_GROW if before[key] != after[key]]
    return [f"{key}={shown(after[key])}" for key in changed if _is_more(key, before[key], after[key])]


def _leaves(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every key of a document with its value, arms' own keys among them."""
    arms = document["optimizers"]
    tables = {table: values for table, values in document.items() if table != "optimizers"}
    tables |= {f"optimizers.{name}": values for name, values in arms.items()}
    leaves = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
    return leaves | {"optimizers": list(arms)}


def _or_nothing(leaves: Mapping[str, Any], key: str) -> str:
    return shown(leaves[key]) if key in leaves else "not"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Every key of every table that differs, with its value before and after."""
    return [
        (f"{table}.{key}", before[table].get(key), after[table].get(key))
        for table in after
        for key in {**before[table], **after[table]}
        if before[table].get(key) != after[table].get(key)
    ]


def _is_more(key: str, old: Any, new: Any) -> bool:
    if key == "budget.max_seconds":  # 0 is no limit
        return bool(new == 0 or 0 < old < new)
    return bool(new > old)


def _why_not(key: str, old: Any) -> str:
    if key in MAY_GROW:
        none = ", no limit," if key == "budget.max_seconds" and not old else ""
        return f"can only be raised; it is {shown(old)}{none} now"
    return f"is {shown(old)} since the sweep began; only {', '.join(MAY_GROW)} may be raised"
