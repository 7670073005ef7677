"""The report's first parts: the verdict in words, how not to read it, and what was run."""

from collections.abc import Mapping
from typing import Any

from sweeper.analysis import shown
from sweeper.analysis.report.blocks import Block, Code, Folded, Missing, Points, Section, Text, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.sentences import DATA, OBJECTIVES, counted
from sweeper.experiment import Experiment
from sweeper.experiment.checks import parameter_count
from sweeper.records import SweepState

HOW_NOT_TO_READ = (
    "Not as a ranking of optimizers in general: it is about the settings that this search found, this model, "
    "these images and this number of epochs, and nothing else.",
    "Not by the best value of a search: the best of n tried flatters, and more so with larger n. The finals "
    "count, on fresh seeds and test images.",
    'Not "undecided" as "equal": it says that these seeds cannot tell. "No difference that matters" is the '
    "statement that they are about equal.",
    "Not by intervals that overlap or don't: the decision is made from the probability of improvement and "
    "its p value, adjusted for the number of comparisons.",
    "Not across losses: hinge and cross-entropy have no common scale; accuracies have.",
)


def verdict(results: Results, numbers: Numbers) -> Section:
    """The verdict, or why there is none, and the box that says how not to read the report."""
    first, *rest = numbers.verdict.lines
    return section(
        "verdict",
        "Verdict",
        Text((first,)),
        Points(tuple(rest)) if rest else None,
        _how_far(results, numbers),
        Folded("How not to read this", (Points(HOW_NOT_TO_READ),)),
    )


def _how_far(results: Results, numbers: Numbers) -> Block | None:
    """What of an unfinished sweep is missing."""
    if results.state is SweepState.COMPLETE:
        return None
    so_far = numbers.progress
    return Missing(
        f"The sweep is {results.state}: so far {so_far.n_searched} of {so_far.n_trials} trials and "
        f"{so_far.n_finals_done} of up to {so_far.n_finals} finals have ended."
    )


def workload(results: Results) -> Section:
    """Data, model, loss, epochs, hardware, versions, seed, and the experiment file itself."""
    experiment, facts = results.experiment, results.facts
    if experiment.imported:
        return section(
            "workload",
            "What was run",
            Missing(
                f"Sweeper did not run these trials: they were imported from {experiment.imported.source}. "
                f"Data, model, loss, hardware and versions are not known, and chance level isn't either: "
                f"scores stand as they were given, on the objective {OBJECTIVES[experiment.objective]}."
            ),
        )
    rows = [*_what(experiment, facts), *_where(results, facts)]
    return section(
        "workload",
        "What was run",
        table("", ("", ""), rows, words=(0, 1)),
        _file(experiment),
        _warm_start(facts),
    )


def experiment_file(results: Results) -> Section:
    """The experiment file alone, where there is one."""
    imported = results.experiment.imported
    block = Missing(f"Imported from {imported.source}.") if imported else _file(results.experiment)
    return section("experiment", "The experiment", block)


def _file(experiment: Experiment) -> Block:
    return Folded("The experiment file", (Code(experiment.text.strip() or "(made in Python)", "toml"),))


def _what(experiment: Experiment, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    data, model, search, final = experiment.data, experiment.model, experiment.search, experiment.final
    known = facts.get("data", {})
    parameters = parameter_count(model, data.n_classes)
    small = (
        "" if model.input_size == 32 else f", images averaged down to {model.input_size} x {model.input_size}"
    )
    augment = ", augmented" if data.augment else ""
    return [
        ("data", f"{DATA[data.name]}, {known.get('source', '')}".rstrip(", ")),
        ("sha256", str(known.get("sha256", shown.NOTHING))),
        (
            "split",
            f"{data.train_size:,} training, {data.val_size:,} validation, {data.test_size:,} test images, "
            f"stratified by the experiment's seed{augment}",
        ),
        ("model", f"{model.name}, {parameters:,} parameters, {model.init} initialization{small}"),
        ("loss", experiment.loss.name.replace("_", "-")),
        ("objective", f"{OBJECTIVES[experiment.objective]} after the last epoch, capped at chance level"),
        ("budget", _budget(experiment)),
        ("search", f"{search.mode}, {search.sampler}, pruner {search.pruner}, repeats {search.repeats}"),
        (
            "finals",
            f"best {counted(final.top_k, 'setting')}, {counted(final.seeds, 'fresh seed')} each"
            + (", untuned ones too" if final.untuned else "")
            if final.top_k
            else "none",
        ),
        ("seed", str(experiment.seed)),
    ]


def _budget(experiment: Experiment) -> str:
    budget = experiment.budget
    limit = f", at most {shown.duration(budget.max_seconds)}" if budget.max_seconds else ""
    trials = counted(budget.trials_per_optimizer, "trial")
    return f"{trials} per optimizer, {counted(budget.epochs, 'epoch')}{limit}"


def _where(results: Results, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    machine = facts.get("machine", {})
    versions = ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items())
    devices = results.attempts["device"].value_counts()
    ran_on = ", ".join(f"{device} ({counted(int(n), 'attempt')})" for device, n in devices.items())
    cores = counted(int(machine["cores"]), "core") if machine.get("cores") else ""
    host = ", ".join(str(part) for part in (machine.get("system"), machine.get("processor"), cores) if part)
    return [
        ("coordinator's machine", host or shown.NOTHING),
        ("devices", ran_on or shown.NOTHING),
        ("versions", versions or shown.NOTHING),
        ("sweep", f"{results.name}, {results.state}, begun {results.info.created_at:%Y-%m-%d %H:%M} UTC"),
    ]


def _warm_start(facts: Mapping[str, Any]) -> Block | None:
    if "warm_start" not in facts:
        return None
    began = facts["warm_start"]
    known = ", ".join(f"{len(mine)} of {name}" for name, mine in began["priors"].items())
    return Text((f"TPE began with what sweep {began['sweep']} knew ({known}): counted in no number here.",))
