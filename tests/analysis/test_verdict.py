"""The verdict on made-up sweeps: its leader, its decisions, its words, and when there is none."""

import math
from collections.abc import Callable

import pandas as pd
import pytest
from finals_frames import ARMS, FINALS, SEARCH, near, row, sweep

from sweeper import analysis
from sweeper.analysis import sentences
from sweeper.analysis.decision import Decision
from sweeper.analysis.power import seeds_to_decide
from sweeper.analysis.progress import progress
from sweeper.experiment import Experiment, Imported, imported

MakeExperiment = Callable[..., Experiment]


@pytest.fixture
def three(make_experiment: MakeExperiment) -> Experiment:
    """sgd, adam and rmsprop, two settings each besides the untuned one, ten final seeds."""
    return make_experiment(*ARMS, "final.untuned=false")


# --- the leader -------------------------------------------------------------------------------------------


def test_the_leader_has_the_best_objective_in_the_search_whatever_the_finals_say(three: Experiment) -> None:
    found = analysis.verdict(sweep(finals={**FINALS, "sgd": near(0.5)}), three)
    assert found.leader == "adam"
    assert found.against is not None
    assert dict(zip(found.against["optimizer"], found.against["decision"], strict=True))["sgd"] == "worse"
    assert any(line.startswith("sgd is better than adam, which led the search (") for line in found.lines)


def test_of_equal_leaders_the_first_in_the_file_leads(three: Experiment) -> None:
    search = {"rmsprop": (1.2, 1.3), "adam": (1.2, 1.5), "sgd": (1.9, 1.8)}
    assert analysis.leader(sweep(search, {}), three) == "adam"


def test_the_untuned_setting_leads_nothing(three: Experiment) -> None:
    frame = sweep(finals={})
    frame.loc[(frame["optimizer"] == "sgd") & (frame["number"] == 0), "val_loss"] = 0.1
    assert analysis.leader(frame, three) == "adam"


def test_repeated_searches_lead_by_the_mean_of_their_bests(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "search.repeats=2", "budget.trials_per_optimizer=5")
    search = {"sgd": (1.0, 2.0, 1.9, 1.9), "adam": (1.3, 1.3, 1.4, 1.4), "rmsprop": (1.5, 1.5, 1.6, 1.6)}
    assert analysis.leader(sweep(search, {}), experiment) == "adam"  # sgd: (1.0 + 1.9) / 2


def test_an_accuracy_leads_by_being_high(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "experiment.objective=val_accuracy", "final.untuned=false")
    found = analysis.verdict(sweep(), experiment)
    assert found.leader == "adam"
    assert "led the search (validation accuracy 0.700). Judged by test accuracy" in found.lines[0]
    assert "loss" not in found.lines[1]
    assert found.lines[1].startswith("sgd is worse than adam (test accuracy ")


# --- what it says -----------------------------------------------------------------------------------------


def test_the_verdict_names_what_was_compared_and_each_difference(three: Experiment) -> None:
    found = analysis.verdict(sweep(), three)
    assert found.lines[0] == (
        "On synthetic images (200 images), linear, 2 epochs, constant lr, 2 settings an optimizer: adam led "
        "the search (validation loss 1.200). Judged by test loss over 10 fresh seeds:"
    )
    assert found.lines[1] == (
        "sgd is worse than adam (test loss 1.800 against 1.250, test accuracy 0.400 against 0.583, 18.3 "
        "points; adam ahead in 100 of 100 pairs, adjusted p below 0.001)."
    )
    assert found.lines[2].startswith("rmsprop: undecided against adam (test loss 1.260 against 1.250, ")
    assert "hundreds of seeds would be needed, or it doesn't matter" in found.lines[2]
    assert "repeats = 1" in " ".join(found.lines)
    assert found.lines[-1] == "Synthetic images: this shows how Sweeper works, not which optimizer is better."


def test_the_frames_hold_the_differences_and_the_numbers_of_finals(three: Experiment) -> None:
    found = analysis.verdict(sweep(), three)
    assert found.against is not None
    assert found.pairs is not None
    against = found.against.set_index("optimizer")
    assert list(against.index) == ["sgd", "rmsprop"]
    assert against.loc["sgd", "loss_difference"] == pytest.approx(1.25 - 1.8)
    assert against.loc["sgd", "accuracy_points"] == pytest.approx(100 * (1.8 - 1.25) / 3)
    assert against.loc["sgd", "n"] == 10
    assert len(found.pairs) == 3


def test_the_order_of_trials_changes_nothing(three: Experiment) -> None:
    frame = sweep()
    mixed = frame.sample(frac=1, random_state=1)
    assert analysis.verdict(mixed, three).lines == analysis.verdict(frame, three).lines


def test_every_decision_has_its_sentence() -> None:
    assert sentences.SENTENCES.keys() == set(Decision)
    assert len(set(sentences.SENTENCES.values())) == len(Decision)


def test_an_undecided_difference_says_how_many_seeds_would_decide_it(three: Experiment) -> None:
    found = analysis.verdict(sweep(finals={**FINALS, "rmsprop": near(1.275)}), three)
    assert "rmsprop: undecided against adam" in found.lines[2]
    assert "a difference of this size takes about " in found.lines[2]


def test_the_seeds_that_decide_are_fewer_the_larger_the_difference() -> None:
    numbers = [seeds_to_decide(difference, 5) for difference in (3.0, 2.0, 1.0)]
    assert None not in numbers
    assert numbers == sorted(set(numbers))  # type: ignore[type-var]
    assert seeds_to_decide(0.1, 5) is None
    n = seeds_to_decide(2.0, 5)
    assert n is not None
    assert analysis.power(n, 5, 2.0) >= 0.8


def test_too_few_seeds_name_the_number_that_would_do(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "final.seeds=3")
    finals = {name: losses[:3] for name, losses in FINALS.items()}
    found = analysis.verdict(sweep(finals=finals), experiment)
    assert "sgd against adam: these seeds cannot decide" in found.lines[1]
    assert "2 comparisons can be decided from 5 seeds on: --set final.seeds=5" in found.lines[1]


def test_seeds_that_failed_finals_have_cost_are_asked_for_on_top(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "final.seeds=4")
    frame = sweep(finals={name: values[:4] for name, values in FINALS.items()})
    failed = (frame["phase"] == "final") & (frame["optimizer"] == "sgd") & (frame["number"] == 3)
    frame.loc[failed, "state"] = "failed"
    found = analysis.verdict(frame, experiment)
    assert "2 comparisons can be decided from 5 seeds on: --set final.seeds=6" in found.lines[1]


def test_diverged_finals_count_as_chance(three: Experiment) -> None:
    frame = sweep()
    lost = (frame["phase"] == "final") & (frame["optimizer"] == "sgd")
    frame.loc[lost, ["state", "test_loss", "test_accuracy"]] = ["diverged", math.nan, math.nan]
    found = analysis.verdict(frame, three)
    assert "test loss 2.303 against 1.250, test accuracy 0.100 against" in found.lines[1]


def test_a_failed_final_is_told_and_counts_nowhere(three: Experiment) -> None:
    frame = sweep()
    frame.loc[frame.index[-1], ["state", "test_loss"]] = ["failed", math.nan]
    found = analysis.verdict(frame, three)
    assert found.against is not None
    assert list(found.against["n"]) == [10, 9]
    assert "rmsprop: 1 final failed, left out of every number." in found.lines


def test_superseded_finals_stay_out_and_are_told(three: Experiment) -> None:
    old = sweep({"adam": (1.2, 1.5)}, {"adam": [9.0] * 5}, origin="superseded")
    frame = pd.concat([sweep(), old[old["phase"] == "final"]])
    found = analysis.verdict(frame, three)
    assert found.lines[1] == analysis.verdict(sweep(), three).lines[1]
    assert any("used again: 5 earlier finals" in line for line in found.lines)


def test_with_several_settings_in_the_finals_it_says_how_one_is_chosen(
    make_experiment: MakeExperiment,
) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "final.top_k=2")
    frame = sweep()
    others = frame[frame["phase"] == "final"].assign(
        setting=3 - frame["setting"], val_loss=2.0, test_loss=0.1
    )
    found = analysis.verdict(pd.concat([frame, others]), experiment)
    assert found.lines[1] == analysis.verdict(frame, make_experiment(*ARMS, "final.untuned=false")).lines[1]
    assert (
        "Of an optimizer's best 2 settings the one with the best mean validation loss over the finals "
        "represents it."
    ) in found.lines


def test_an_arm_with_a_budget_of_its_own_stays_out(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "optimizers.newton.steps=1", "model.input_size=8", "final.seeds=10")
    search, finals = {**SEARCH, "newton": (0.1, 0.2)}, {**FINALS, "newton": near(0.1)}
    frame = sweep(search, finals)
    untuned = [
        row(name, 10 + k, 2.2, phase="final", origin="final", setting=0, test_loss=2.2)
        for name in search
        for k in range(10)
    ]
    found = analysis.verdict(pd.concat([frame, pd.DataFrame(untuned)]), experiment)
    assert found.leader == "adam"
    assert found.against is not None
    assert "newton" not in set(found.against["optimizer"])
    assert "newton: with a budget of its own, and so not judged." in found.lines


# --- how often the leader would lead ----------------------------------------------------------------------


CLEAR = {"sgd": (1.9, 1.8), "adam": (1.5, 1.2), "rmsprop": (1.7, 1.6)}


def test_a_leader_that_always_leads_is_said_to(three: Experiment) -> None:
    found = analysis.verdict(sweep(CLEAR), three)
    assert found.win_probability is not None
    assert found.win_probability.to_dict() == {"sgd": 0, "adam": 1, "rmsprop": 0}
    line = (
        "If the search were repeated with 2 independent settings an optimizer, adam would lead in 100 of 100."
    )
    assert line in found.lines


def test_a_leader_by_luck_is_said_to_depend_on_the_luck_of_the_search(three: Experiment) -> None:
    found = analysis.verdict(sweep({**CLEAR, "rmsprop": (1.3, 1.6)}), three)
    assert found.win_probability is not None
    # adam leads unless it draws 1.5 twice and rmsprop any 1.3: 1 - 1/4 * 3/4.
    assert found.win_probability["adam"] == pytest.approx(1 - 3 / 16, abs=0.03)
    found = analysis.verdict(sweep({**CLEAR, "rmsprop": (1.21, 1.21)}), three)
    assert found.win_probability is not None
    assert found.win_probability["adam"] == pytest.approx(3 / 4, abs=0.03)
    assert found.win_probability.sum() == pytest.approx(1)
    luck = next(line for line in found.lines if line.startswith("If the search were repeated"))
    assert luck.endswith("of 100: who leads depends on the luck of the search.")


def test_where_nobody_knows_how_often_it_says_why(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.untuned=false", "search.sampler=grid")
    found = analysis.verdict(sweep(), experiment)
    assert found.is_reached
    assert found.win_probability is None
    assert (
        "How often the leader would lead if the search were repeated is not known: a grid's trials are not "
        "independent draws."
    ) in found.lines


def test_guided_trials_count_for_no_win_probability(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(
        *ARMS, "final.untuned=false", "search.sampler=tpe", "budget.trials_per_optimizer=4"
    )
    frame = sweep({name: (*losses, 1.1) for name, losses in CLEAR.items()})
    frame.loc[frame["number"] == 3, "independent"] = False
    found = analysis.verdict(frame, experiment)
    assert any("repeated with 2 independent settings" in line for line in found.lines)
    assert any("TPE's guided ones don't count here" in line for line in found.lines)


# --- imported results -------------------------------------------------------------------------------------


def from_elsewhere(*optimizers: str, top_k: int = 1, independent: bool = False) -> Experiment:
    return imported.imported(
        "old",
        "val_loss",
        optimizers or tuple(SEARCH),
        Imported("runs.csv", independent),
        trials_per_optimizer=3,
        top_k=top_k,
        seeds=10,
    )


def test_imported_results_are_judged_without_a_word_on_what_nobody_knows() -> None:
    found = analysis.verdict(sweep(), from_elsewhere())
    assert found.lines[0] == (
        "Imported from runs.csv, up to 3 trials an optimizer: adam led the search (validation loss 1.200). "
        "Judged by test loss over the imported finals:"
    )
    assert found.lines[1].startswith("sgd is worse than adam (test loss 1.800 against 1.250, test accuracy")
    text = " ".join(found.lines)
    assert "how the imported settings were proposed is not known" in text
    assert not any(word in text for word in ("nan", "linear", "synthetic", "repeats = 1", "epoch"))
    assert analysis.verdict(sweep(), from_elsewhere(independent=True)).win_probability is not None


def test_unequal_numbers_of_imported_settings_are_named() -> None:
    found = analysis.verdict(sweep({**SEARCH, "sgd": (1.9, 1.8, 1.85)}), from_elsewhere())
    assert (
        "Unequal numbers of settings were tried (sgd 3, adam 2, rmsprop 2): more tries find a better best."
    ) in found.lines


def test_imported_finals_without_a_test_score_are_not_judged_and_told() -> None:
    frame = sweep()
    untold = (frame["phase"] == "final") & (frame["optimizer"] == "rmsprop") & (frame["number"] < 3)
    frame.loc[untold, ["test_loss", "test_accuracy"]] = math.nan
    found = analysis.verdict(frame, from_elsewhere())
    assert found.against is not None
    assert found.against.set_index("optimizer")["n"].to_dict() == {"sgd": 10, "rmsprop": 7}
    assert "3 imported finals without a test score: not judged." in found.lines
    nothing = frame.assign(test_loss=math.nan, test_accuracy=math.nan)
    expected = "No verdict: no imported final of the leader, or of any other optimizer, has a test score."
    assert analysis.verdict(nothing, from_elsewhere()).lines[0] == expected
    lost = nothing.assign(state="diverged")
    assert not analysis.verdict(lost, from_elsewhere()).is_reached


def test_imported_finals_without_accuracies_are_judged_by_their_loss() -> None:
    found = analysis.verdict(sweep().assign(test_accuracy=math.nan), from_elsewhere())
    assert found.lines[1].startswith("sgd is worse than adam (test loss 1.800 against 1.250; adam ahead in")


def test_imported_results_without_finals_or_of_one_optimizer_have_no_verdict() -> None:
    without = from_elsewhere(top_k=0)
    assert reason(sweep(finals={}), without) == (
        "No verdict: the imported results have no finals. Each best is the best of 2, chosen among them, "
        "which flatters it."
    )
    uneven = sweep({**SEARCH, "sgd": (1.9, 1.8, 1.7)}, {})
    assert "the best of 2 to 3, chosen among them" in reason(uneven, without)
    alone = from_elsewhere("sgd")
    assert "fewer than two optimizers" in reason(sweep({"sgd": (1.0, 1.1)}, {}), alone)


# --- no verdict -------------------------------------------------------------------------------------------


def reason(frame: pd.DataFrame, experiment: Experiment) -> str:
    found = analysis.verdict(frame, experiment)
    assert (found.is_reached, found.leader, found.against, found.pairs) == (False, None, None, None)
    return found.lines[0]


def test_there_is_no_verdict_before_the_search_is_over(three: Experiment) -> None:
    frame = sweep(finals={})
    frame.loc[frame.index[-1], "state"] = "running"
    assert reason(frame, three) == "No verdict yet: the search is not over."


def test_there_is_no_verdict_while_finals_are_missing(three: Experiment) -> None:
    finals = {**FINALS, "adam": FINALS["adam"][:4]}
    assert reason(sweep(finals=finals), three) == "No verdict yet: waiting for 6 of 30 finals."


def test_without_finals_there_is_no_verdict(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.top_k=0")
    expected = "No verdict without finals: each best is the best of 2, chosen among 2, which flatters it."
    assert reason(sweep(finals={}), experiment) == expected


def test_a_joint_search_and_a_single_optimizer_have_no_verdict(make_experiment: MakeExperiment) -> None:
    joint = make_experiment(*ARMS, "search.mode=joint")
    assert reason(sweep(), joint).startswith("No verdict in mode joint")
    alone = make_experiment("optimizers.sgd={}")
    assert "nothing to compare" in reason(sweep({"sgd": (1.0, 1.1)}, {}), alone)


def test_without_a_scored_trial_there_is_no_leader_and_no_verdict(three: Experiment) -> None:
    frame = sweep(finals={}).assign(state="failed")
    assert analysis.leader(frame, three) is None
    assert reason(frame, three) == "No verdict: no setting besides the untuned ones has a score."


# --- progress ---------------------------------------------------------------------------------------------


def test_finals_are_counted_for_those_settings_that_there_are(make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(*ARMS, "final.top_k=5", "final.seeds=4")
    so_far = progress(sweep(finals={}), experiment)
    assert so_far.searched_all
    assert so_far.n_finals == 3 * 4 * (2 + 1)
    unfinished = progress(sweep(finals={}).iloc[:-1], experiment)
    assert unfinished.n_finals == experiment.n_finals == 3 * 4 * (2 + 1)


def test_with_repeats_each_seed_trains_the_picks_of_one_search(make_experiment: MakeExperiment) -> None:
    settings = ("search.repeats=2", "budget.trials_per_optimizer=4", "final.top_k=2", "final.seeds=3")
    experiment = make_experiment(*ARMS, *settings, "final.untuned=false")
    search = {name: (1.0, 1.1, 1.2) for name in SEARCH}  # numbers 1 and 3 are of search 1, 2 of search 0
    assert progress(sweep(search, {}), experiment).n_finals == 3 * (1 + 2 + 1)
