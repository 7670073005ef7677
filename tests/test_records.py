import dataclasses

import pytest

from sweeper.records import Phase, TrialKey, TrialState


@pytest.mark.parametrize(
    ("key", "written"),
    [
        (TrialKey("adam", Phase.SEARCH, 7), "adam/7"),
        (TrialKey("adam", Phase.FINAL, 3), "adam/final/3"),
        (TrialKey("sgd", Phase.SEARCH, 0), "sgd/0"),
    ],
)
def test_a_trial_is_written_as_its_optimizer_and_number(key: TrialKey, written: str) -> None:
    assert str(key) == written


def test_trials_of_an_optimizer_and_phase_sort_by_number_and_not_by_text() -> None:
    keys = [TrialKey("adam", Phase.SEARCH, number) for number in (10, 2, 1)]
    assert [key.number for key in sorted(keys)] == [1, 2, 10]


def test_the_same_number_in_another_phase_is_another_trial() -> None:
    assert len({TrialKey("adam", phase, 3) for phase in Phase}) == 2


@pytest.mark.parametrize("state", ["complete", "pruned", "diverged", "failed"])
def test_a_state_that_a_trial_ends_in_is_finished(state: str) -> None:
    assert TrialState(state).is_finished


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_state_that_a_trial_passes_through_is_not_finished(state: str) -> None:
    assert not TrialState(state).is_finished


@pytest.mark.parametrize("state", ["complete", "diverged"])
def test_statistics_count_complete_and_diverged_trials(state: str) -> None:
    assert TrialState(state).has_score


@pytest.mark.parametrize("state", ["queued", "running", "pruned", "failed"])
def test_statistics_leave_out_every_other_trial(state: str) -> None:
    assert not TrialState(state).has_score


def test_a_record_can_not_be_changed() -> None:
    key = TrialKey("adam", Phase.SEARCH, 7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.number = 8  # type: ignore[misc]
