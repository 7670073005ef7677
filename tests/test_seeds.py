import itertools

import numpy as np
import pytest

from sweeper import seeds

N_TRIALS = 10_000
LARGEST_EXPERIMENT_SEED = 2**63 - 1


def test_the_seeds_of_a_sweep_are_the_same_in_every_version() -> None:
    # Whatever changes these numbers changes every stored sweep's resume. Each is the first uint64 of numpy's
    # SeedSequence(seed, spawn_key=(stream, ...)), without its lowest bit.
    assert seeds.split(0) == 4334430513956379144
    assert seeds.search_trial(12345, 7) == 2278552330018287384
    assert seeds.final_trial(0, 3) == 1752850533999793981
    assert seeds.proposal(0, "adam", 5, "lr") == 4285578736
    assert seeds.weights(99) == 3574186663705179385
    assert seeds.data_order(99, 2) == 8303066615909454186
    assert seeds.augmentation(99, 2) == 745189896259964513
    assert seeds.sobol(0) == 8858336398717540901
    assert seeds.sobol(0, "adam") == 7660770354940601486
    assert seeds.joint(0, 3) == 5195811342501512832


def test_seeds_are_those_of_numpys_spawn_keys() -> None:
    for entropy in (0, 1, 2**32 - 1, 2**32, LARGEST_EXPERIMENT_SEED):
        for number in (0, 1, 2**31, 2**32 - 1):
            sequence = np.random.SeedSequence(entropy, spawn_key=(1, number))
            assert seeds.search_trial(entropy, number) == sequence.generate_state(1, np.uint64)[0] >> 1


def test_a_trials_seed_does_not_depend_on_what_was_drawn_before() -> None:
    forwards = [seeds.search_trial(5, number) for number in range(10)]
    backwards = [seeds.search_trial(5, number) for number in reversed(range(10))]
    assert forwards == backwards[::-1]


def test_no_final_has_the_seed_of_a_search_trial_or_of_another_final() -> None:
    search = {seeds.search_trial(0, number) for number in range(N_TRIALS)}
    finals = {seeds.final_trial(0, number) for number in range(N_TRIALS)}
    assert len(search | finals) == 2 * N_TRIALS


def test_the_streams_of_one_seed_all_differ() -> None:
    seed = 3
    streams = [
        seeds.split(seed),
        seeds.search_trial(seed, 1),
        seeds.final_trial(seed, 1),
        seeds.proposal(seed, "space", 1),
        seeds.weights(seed),
        seeds.data_order(seed, 1),
        seeds.augmentation(seed, 1),
        seeds.sobol(seed),
        seeds.sobol(seed, "sgd"),
        seeds.joint(seed, 1),
    ]
    assert len(set(streams)) == len(streams)


def test_two_experiments_share_no_seed() -> None:
    for draw in (
        seeds.split,
        lambda seed: seeds.search_trial(seed, 0),
        lambda seed: seeds.final_trial(seed, 0),
    ):
        assert len({draw(seed) for seed in range(500)}) == 500


def test_every_epoch_has_an_order_of_its_own() -> None:
    assert len({seeds.data_order(99, epoch) for epoch in range(1, 501)}) == 500


def test_every_epoch_shifts_and_flips_its_images_its_own_way() -> None:
    assert len({seeds.augmentation(99, epoch) for epoch in range(1, 501)}) == 500


def test_a_proposals_seed_tells_arms_numbers_and_dimensions_apart() -> None:
    names = itertools.product(
        ("space", "sgd", "adam"), range(50), ("", "lr", "one_minus_beta1", "batch_size")
    )
    drawn = [seeds.proposal(0, scope, number, dimension) for scope, number, dimension in names]
    assert len(set(drawn)) == len(drawn)


def test_a_proposals_seed_fits_the_32_bits_that_optuna_takes() -> None:
    drawn = [
        seeds.proposal(seed, "adam", number)
        for seed in (0, LARGEST_EXPERIMENT_SEED)
        for number in range(1_000)
    ]
    assert min(drawn) >= 0
    assert max(drawn) < 2**32
    np.random.RandomState(max(drawn))  # what Optuna's samplers are made of; refuses more


@pytest.mark.parametrize("experiment_seed", [0, 2**32, LARGEST_EXPERIMENT_SEED])
def test_every_other_seed_fits_a_bigint(experiment_seed: int) -> None:
    drawn = [seeds.split(experiment_seed)]
    for number in range(500):
        trial = seeds.search_trial(experiment_seed, number)
        drawn += [trial, seeds.final_trial(experiment_seed, number)]
        drawn += [seeds.weights(trial), seeds.data_order(trial, 1), seeds.augmentation(trial, 1)]
    assert all(isinstance(seed, int) for seed in drawn)
    assert min(drawn) >= 0
    assert max(drawn) < 2**63


def test_seeds_use_their_whole_range() -> None:
    # A derivation that lost bits would give another mean and spread than a uniform draw from 0..2**63.
    drawn = np.array([seeds.search_trial(0, number) for number in range(2_000)]) / 2**63
    assert drawn.mean() == pytest.approx(1 / 2, abs=4 * 0.2887 / 2_000**0.5)
    assert drawn.std() == pytest.approx(12**-0.5, abs=0.02)
