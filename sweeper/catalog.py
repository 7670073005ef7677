"""The data sets that an experiment file may name, with their facts.

Names and numbers only: `training` reads what they stand for.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set's facts: how many images it has to draw from, and of how many classes."""

    n_classes: int
    n_train_pool: int
    n_test_pool: int


DATA_SETS = {
    "cifar10": DataSet(n_classes=10, n_train_pool=50_000, n_test_pool=10_000),
    "cifar100": DataSet(n_classes=100, n_train_pool=50_000, n_test_pool=10_000),
    "synthetic": DataSet(n_classes=10, n_train_pool=50_000, n_test_pool=10_000),
}
