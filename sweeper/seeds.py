"""Every random number of a sweep comes from the experiment's one seed, through numpy's `SeedSequence`.

A stream is named by what it is for and never by when it is drawn, so nothing depends on the order in which
trials run, on the number of workers, or on an interruption. Sources: NumPy's documentation on parallel
random number generation (`SeedSequence`, spawn keys).
"""

import zlib

import numpy as np

_SPLIT, _SEARCH, _FINAL, _PROPOSAL, _WEIGHTS, _ORDER, _AUGMENTATION, _DRAWS, _SUBSET = range(9)
_SOBOL, _JOINT = 9, 10
_UINT32 = 2**32


def _derive(entropy: int, *path: int) -> int:
    """A seed of 63 bits, so that every database and random generator takes it.

    It is that of `SeedSequence(entropy, spawn_key=path)`, whose words are put together here: that takes numpy
    most of its time, and a trial asks for a seed for each parameter and some more. `entropy` is below 2**64,
    each number of `path` below 2**32.
    """
    words = (entropy % _UINT32, entropy // _UINT32, 0, 0, *path)
    low, high = np.random.SeedSequence(np.array(words, np.uint32)).generate_state(2).tolist()
    return int(high * _UINT32 + low) >> 1


def _name(text: str) -> int:
    return zlib.crc32(text.encode())


def split(experiment_seed: int) -> int:
    """The seed of the split into training, validation and test images."""
    return _derive(experiment_seed, _SPLIT)


def search_trial(experiment_seed: int, number: int) -> int:
    """The seed of search trial `number`: the same for every optimizer."""
    return _derive(experiment_seed, _SEARCH, number)


def final_trial(experiment_seed: int, number: int) -> int:
    """The seed of final `number`: the same for every optimizer, and never one of the search's."""
    return _derive(experiment_seed, _FINAL, number)


def proposal(experiment_seed: int, scope: str, number: int, dimension: str = "") -> int:
    """The seed with which a sampler draws for trial `number`, in 0..2**32 as Optuna's samplers want it.

    `scope` is an optimizer's name, or `space` for what all optimizers share; `dimension` is the
    hyperparameter's name, or empty where one sampler draws all of them together.
    """
    return _derive(experiment_seed, _PROPOSAL, _name(scope), number, _name(dimension)) % _UINT32


def sobol(experiment_seed: int, optimizer: str = "") -> int:
    """The seed that scrambles a Sobol sequence: an optimizer's own columns, or without one the shared."""
    return _derive(experiment_seed, _SOBOL, _name(optimizer))


def joint(experiment_seed: int, place: int) -> int:
    """What decides which optimizer the independent trial at `place` has, in one search of all optimizers."""
    return _derive(experiment_seed, _JOINT, place)


def weights(trial_seed: int) -> int:
    """The seed of a trial's initial weights."""
    return _derive(trial_seed, _WEIGHTS)


def data_order(trial_seed: int, epoch: int) -> int:
    """The seed of the permutation of the training images in `epoch`, which counts from 1."""
    return _derive(trial_seed, _ORDER, epoch)


def augmentation(trial_seed: int, epoch: int) -> int:
    """The seed of how the training images are shifted and flipped in `epoch`, which counts from 1."""
    return _derive(trial_seed, _AUGMENTATION, epoch)


def draws(trial_seed: int) -> int:
    """The seed of what a rule without a gradient draws: weights, or steps from them."""
    return _derive(trial_seed, _DRAWS)


def subset(trial_seed: int) -> int:
    """The seed of the one subset of the training images that scores a trial's draws."""
    return _derive(trial_seed, _SUBSET)
