"""Optima at a border, and general rules that lose to special cases."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sweeper import analysis
from sweeper import experiment as experiments
from sweeper.experiment import Experiment

MakeExperiment = Callable[..., Experiment]


def search(optimizer: str, losses: list[float], **params: list[float]) -> pd.DataFrame:
    """Trials 1, 2, ... with these losses and settings."""
    n = len(losses)
    columns = {f"params.{name}": values for name, values in params.items()}
    return pd.DataFrame(
        {
            "optimizer": optimizer,
            "number": range(1, n + 1),
            "phase": "search",
            "origin": "proposed",
            "state": "complete",
            "setting": range(1, n + 1),
            "seed": range(n),
            "val_loss": losses,
            "test_loss": np.nan,
            "test_accuracy": np.nan,
            "val_accuracy": 0.4,
            **columns,
        }
    )


def with_finals(search: pd.DataFrame, losses: list[float]) -> pd.DataFrame:
    """The search, and finals of its trial 1."""
    n = len(losses)
    row = search.iloc[[0]]
    finals = row.loc[row.index.repeat(n)].assign(
        number=range(n), phase="final", origin="final", setting=1, seed=range(n), test_loss=losses
    )
    return pd.concat([search, finals], ignore_index=True)


SGD = ("optimizers.sgd={}",)


@pytest.fixture
def sgd(make_experiment: MakeExperiment) -> Experiment:
    """sgd alone; its lr is from 1e-4 to 1, so that near an end is below 10**-3.6 and above 10**-0.4."""
    return make_experiment(*SGD)


def test_a_best_lr_at_the_end_of_its_range_is_told_with_a_line_that_widens_it(
    sgd: Experiment, make_experiment: MakeExperiment
) -> None:
    found = analysis.border_check(search("sgd", [1.0, 1.1, 1.2], lr=[0.9, 0.01, 0.8]), sgd)
    [row] = found.to_dict("records")
    assert (row["optimizer"], row["setting"], row["side"], row["bound"]) == ("sgd", "lr", "high", 1.0)
    setting = str(row["line"]).removeprefix("--set ").replace("'", "")
    wider = make_experiment(*SGD, setting).arm("sgd").own["lr"]
    assert wider.notation() == {"low": 1e-4, "high": 10.0, "scale": "log"}


@pytest.mark.parametrize(
    "lrs",
    [
        [0.9, 0.01, 0.02],  # only the best: the median of the three is inside
        [0.01, 0.9, 0.8],  # all but the best
        [0.3, 0.3, 0.3],
        [2e-4, 0.9, 0.9],  # different ends
    ],
)
def test_a_best_lr_that_others_do_not_confirm_is_no_alarm(sgd: Experiment, lrs: list[float]) -> None:
    assert analysis.border_check(search("sgd", [1.0, 1.1, 1.2], lr=lrs), sgd).empty


def test_two_trials_are_too_few_for_an_alarm(sgd: Experiment) -> None:
    assert analysis.border_check(search("sgd", [1.0, 1.1], lr=[0.9, 0.9]), sgd).empty


def momentum(make_experiment: MakeExperiment) -> Experiment:
    space = '{ low = 0.0, high = 0.99, scale = "one_minus_log" }'
    return make_experiment("optimizers.sgd={}", f"optimizers.momentum.momentum={space}")


def test_effective_lr_is_what_was_searched(make_experiment: MakeExperiment) -> None:
    frame = search("momentum", [1.0, 1.1, 1.2], lr=[0.09, 0.08, 0.09], momentum=[0.9, 0.9, 0.9])
    [row] = analysis.border_check(frame, momentum(make_experiment)).to_dict("records")
    assert (row["setting"], row["side"]) == ("effective_lr", "high")
    assert row["value"] == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("rho", "alarms"),
    [
        ([0.988, 0.989, 0.985], ["momentum"]),
        ([0.988, 0.989, 0.5], []),  # other settings than lr: only when all three do
        ([0.0, 0.0, 0.0], []),  # rho = 0 is a natural end
    ],
)
def test_other_settings_take_all_three_and_natural_ends_none(
    make_experiment: MakeExperiment, rho: list[float], alarms: list[str]
) -> None:
    lr = [0.05 * (1 - r) for r in rho]
    frame = search("momentum", [1.0, 1.1, 1.2], lr=lr, momentum=rho)
    assert list(analysis.border_check(frame, momentum(make_experiment))["setting"]) == alarms


def test_an_end_of_zero_is_natural_and_another_low_end_is_not(make_experiment: MakeExperiment) -> None:
    frame = search("momentum", [1.0, 1.1, 1.2], lr=[0.004, 0.005, 0.004], momentum=[0.51, 0.52, 0.51])
    space = '{ low = 0.5, high = 0.9, scale = "linear" }'
    made = make_experiment(f"optimizers.momentum.momentum={space}")
    [row] = analysis.border_check(frame, made).to_dict("records")
    assert (row["setting"], row["side"], row["bound"]) == ("momentum", "low", 0.5)
    assert row["line"] == (
        "--set optimizers.momentum.momentum='{ low = 0.1, high = 0.9, scale = \"linear\" }'"
    )


def test_batch_sizes_have_no_border(make_experiment: MakeExperiment) -> None:
    frame = search("sgd", [1.0, 1.1, 1.2], lr=[0.01] * 3, batch_size=[16, 16, 17])
    sizes = '{ low = 16, high = 256, scale = "log" }'
    assert analysis.border_check(frame, make_experiment(*SGD, f"space.batch_size={sizes}")).empty


@pytest.mark.parametrize("scale", ["linear", "log", "one_minus_log"])
@pytest.mark.parametrize(("side", "value"), [("low", 0.30001), ("high", 0.98999)])
def test_every_line_widens_its_range_and_is_legal(
    make_experiment: MakeExperiment, scale: str, side: str, value: float
) -> None:
    frame = search("momentum", [1.0] * 3, lr=[0.05 * (1 - value)] * 3, momentum=[value] * 3)
    space = f'{{ low = 0.3, high = 0.99, scale = "{scale}" }}'
    [row] = analysis.border_check(frame, make_experiment(f"optimizers.momentum.momentum={space}")).to_dict(
        "records"
    )
    assert row["side"] == side
    setting = str(row["line"]).removeprefix("--set ").replace("'", "")
    low, high, _ = (
        make_experiment("optimizers.momentum={}", setting).arm("momentum").own["momentum"].notation().values()
    )
    assert (low, high) != (0.3, 0.99)
    assert low <= 0.3 < 0.99 <= high < 1


def test_imported_results_have_no_borders() -> None:
    made = experiments.imported.imported("x", "val_loss", ["sgd"], experiments.Imported("x.csv"))
    assert analysis.border_check(search("sgd", [1.0, 1.1, 1.2], lr=[0.9, 0.9, 0.9]), made).empty


LOW, HIGH = list(np.linspace(1.0, 1.1, 10)), list(np.linspace(1.5, 1.6, 10))


def both(momentums: list[float], sgds: list[float]) -> pd.DataFrame:
    one = with_finals(search("momentum", [1.0, 1.1], lr=[0.1, 0.1], momentum=[0.0, 0.9]), momentums)
    return pd.concat([one, with_finals(search("sgd", [1.0, 1.1], lr=[0.1, 0.1]), sgds)], ignore_index=True)


def test_a_general_rule_that_loses_to_its_special_case_was_tuned_too_little(
    make_experiment: MakeExperiment,
) -> None:
    [row] = analysis.inclusion_check(both(HIGH, LOW), momentum(make_experiment)).to_dict("records")
    assert (row["general"], row["special"], row["decision"]) == ("momentum", "sgd", "worse")
    assert row["estimate"] == 0.0
    assert row["line"] == "--set budget.trials_per_optimizer=6"


def test_where_it_wins_or_ties_nothing_is_wrong(make_experiment: MakeExperiment) -> None:
    assert analysis.inclusion_check(both(LOW, HIGH), momentum(make_experiment)).empty
    assert analysis.inclusion_check(both(LOW, LOW), momentum(make_experiment)).empty


@pytest.mark.parametrize(
    ("settings", "n_warnings"),
    [
        (("optimizers.momentum.momentum=[0.0, 0.9]",), 1),
        (("optimizers.momentum.momentum=[0.5, 0.9]",), 0),
        (("optimizers.momentum.momentum=[0.0, 0.9]", "search.sampler=grid"), 0),  # a grid fixes rho
        (("optimizers.momentum.momentum=[0.0, 0.9]", "optimizers.sgd.batch_size=512"), 0),
        (("optimizers.momentum.momentum=[0.0, 0.9]", "optimizers.sgd.lr=0.1"), 1),
        (("optimizers.momentum.momentum=[0.0, 0.9]", "optimizers.sgd.lr=5.0"), 0),
    ],
)
def test_only_what_was_searched_holds_the_special_case(
    make_experiment: MakeExperiment, settings: tuple[str, ...], n_warnings: int
) -> None:
    made = make_experiment("optimizers.sgd={}", *settings)
    assert len(analysis.inclusion_check(both(HIGH, LOW), made)) == n_warnings


def test_with_a_fixed_rho_sgd_does_not_lie_inside(make_experiment: MakeExperiment) -> None:
    fixed = make_experiment("optimizers.sgd={}", "optimizers.momentum={}")  # below 16 trials rho is 0.9
    assert analysis.inclusion_check(both(HIGH, LOW), fixed).empty
