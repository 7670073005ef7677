"""The names that an experiment file may use for data sets and models, with their facts.

Names and numbers only: `training` builds what they stand for. The names of schedules, samplings and
initializations are values of hyperparameters and stand in `space`.
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

MODELS = ("linear", "mlp", "lenet", "cnn", "3c3d", "resnet8")
INPUT_SIZES = (32, 16, 8)
