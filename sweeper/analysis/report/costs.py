"""What was spent, what was searched, what to watch out for, and what the lecture says."""

from sweeper.analysis import figures, shown
from sweeper.analysis.report.blocks import Block, Drawing, Missing, Section, Text, Warned, section, table
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results
from sweeper.analysis.report.workers import utilization
from sweeper.experiment import Experiment
from sweeper.experiment.searched import Searched, searched
from sweeper.optimizers import ARMS

SCALES = {"log": "log", "one_minus_log": "log in 1 - x", "linear": "linear"}


def warnings(numbers: Numbers) -> Section:
    """Each warning with the line to paste that does something about it."""
    if not numbers.cautions:
        return section("warnings", "Warnings", Text(("None of the checks found anything.",)))
    found = (Warned(one.text, one.line) for one in numbers.cautions)
    return section("warnings", "Warnings", *found)


def costs(results: Results, numbers: Numbers) -> Section:
    """The cost ledger, and where the workers' time went."""
    has_times = results.attempts["ended_at"].notna().any()
    return section(
        "costs",
        "What it cost",
        *ledger(numbers).blocks,
        Text((utilization(numbers.paid),)) if has_times else None,
        Drawing("timeline", figures.timeline(results.attempts)) if has_times else None,
    )


def ledger(numbers: Numbers) -> Section:
    """What each optimizer's trials cost."""
    rows = [
        (
            row["optimizer"],
            *(shown.count(row[name]) for name in ("trials", "epochs", "steps", "samples", "grad_evals")),
            *(shown.duration(row[name]) for name in ("train_s", "eval_s", "waiting_s")),
            _lost(row["lost_attempts"], row["lost_epochs"], row["lost_s"]),
        )
        for _, row in numbers.ledger.iterrows()
    ]
    headings = (
        *("optimizer", "trials", "epochs", "steps", "samples", "gradients"),
        *("training", "evaluation", "waiting", "lost attempts"),
    )
    return section(
        "costs",
        "What it cost",
        table("The ledger, search and finals, lost attempts included", headings, rows)
        if len(numbers.ledger)
        else Missing("No ledger: nothing is known of what the trials cost."),
    )


def _lost(attempts: float, epochs: float, seconds: float) -> str:
    if not attempts:
        return "0"
    return f"{attempts:.0f} ({epochs:.0f} epochs, {shown.duration(seconds)})"


def spaces(results: Results) -> Section:
    """Each optimizer's space, with its dimensions and decades."""
    experiment = results.experiment
    if experiment.imported:
        return section(
            "spaces", "What was searched", Missing("The imported results don't say what was searched.")
        )
    rows = []
    for arm in experiment.arms:
        dimensions = searched(arm, experiment.search.sampler)
        decades = sum(one.decades or 0 for one in dimensions)
        rows.append(
            (
                arm.name,
                "; ".join(_dimension(one) for one in dimensions) or "nothing: only the seed changes",
                str(len(dimensions)),
                shown.number(float(decades)),
                ", ".join(f"{key} {shown.number(value)}" for key, value in arm.arm.default.items()),
            )
        )
    headings = ("optimizer", "searched", "dimensions", "decades", "untuned setting")
    return section("spaces", "What was searched", table("", headings, rows, words=(0, 1, 4)))


def _dimension(one: Searched) -> str:
    shared = " (shared)" if one.shared else ""
    if one.values is not None:
        return f"{one.name} {', '.join(shown.number(value) for value in one.values)}{shared}"
    scale = SCALES[str(one.scale)]
    return f"{one.name} {shown.number(one.low)} to {shown.number(one.high)}, {scale}{shared}"


def lecture(results: Results, numbers: Numbers) -> Section:
    """The lecture's table of properties and its claims, beside the findings."""
    claimed = [
        (
            one.claim,
            {True: "held here", False: "not here", None: "can't be said here"}[one.holds],
            one.finding,
        )
        for one in numbers.claims
    ]
    blocks: list[Block] = [_properties(results.experiment)]
    if claimed:
        blocks.append(
            table("What the lecture says", ("claim", "", "what this sweep found"), claimed, words=(0, 1, 2))
        )
    return section("lecture", "The lecture's claims", *blocks)


def _properties(experiment: Experiment) -> Block:
    rows = []
    for arm in experiment.arms:
        if arm.name not in ARMS or arm.torch_class is not None:
            rows.append((arm.name, *["not in the lecture"] * 4))
            continue
        known = ARMS[arm.name]
        flags = (known.first_moments, known.second_moments, known.leaky_second_moments, known.bias_correction)
        rows.append((arm.name, *("yes" if flag else "no" for flag in flags)))
    headings = ("optimizer", "first moments", "second moments", "leaky second moments", "bias correction")
    return table("What each rule tracks", headings, rows, words=(0, 1, 2, 3, 4))
