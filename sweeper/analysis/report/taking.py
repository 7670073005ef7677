"""What to take away: each best setting as lines to copy, and how to get every number again."""

import shlex

from sweeper.analysis.report.blocks import Block, Code, Folded, Missing, Points, Section, Text, section
from sweeper.analysis.report.numbers import Numbers
from sweeper.analysis.report.results import Results


def settings(results: Results, numbers: Numbers) -> Section:
    """The best setting of each optimizer as lines of torch."""
    if results.experiment.imported:
        block: Block = Missing(
            "No lines of torch: what the imported hyperparameters meant to their rules is not known. "
            "The best settings stand in the summary."
        )
        return section("settings", "The best settings, to copy", block)
    codes = [Code(best.python().strip(), "python", name) for name, best in numbers.bests.items()]
    missing = [arm.name for arm in results.experiment.arms if arm.name not in numbers.bests]
    return section(
        "settings",
        "The best settings, to copy",
        *codes,
        Missing(f"No complete trial besides the untuned setting: {', '.join(missing)}.") if missing else None,
    )


def again(results: Results) -> Section:
    """The commands, and the files beside the report."""
    name, store = shlex.quote(results.name), shlex.quote(results.store)
    commands = [
        f"sweeper report {name} --store {store}",
        f"sweeper export {name} --store {store} --out frames --format parquet",
    ]
    if results.experiment.imported is None:
        commands += [
            f"sweeper run experiment.toml --name {name}-again  # the file above",
            f"sweeper repeat {name} OPTIMIZER NUMBER --store {store}",
        ]
    python = (
        f'import sweeper\n\nsweep = sweeper.load("{results.name}", store="{results.store}")\n'
        f"sweep.summary()\nsweep.verdict()\nsweep.report().record()  # every number of this page"
    )
    return section(
        "again",
        "Every number again",
        Text(("The trials lie beside this report as a table, a row each; the store has every epoch.",)),
        Code("\n".join(commands), "sh"),
        Code(python, "python"),
        Folded(
            "What is the same from run to run",
            (
                Points(
                    (
                        "One trial's numbers: with the same parameters and seed, the same torch, a CPU of "
                        "the same instruction set and one thread.",
                        "The search's settings: with sampler random, qmc or grid. TPE's later proposals "
                        "depend on the order in which trials end.",
                        "The statistics on this page: from the same store to the last digit; every "
                        "resampling is seeded.",
                    )
                ),
            ),
        ),
    )
