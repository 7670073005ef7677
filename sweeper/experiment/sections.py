"""Every key of the experiment file but the search spaces: its default, its type and its legal values.

Each class is one table of the file. A key's `description` says in words what is legal; error messages and
documentation are made from it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sweeper import catalog

LARGEST = 10**9
"""No size or count is larger."""


def _whole(least: int) -> Any:
    return Field(ge=least, le=LARGEST, description=f"a whole number from {least} to {LARGEST:,}")


Positive = Annotated[int, _whole(1)]
Count = Annotated[int, _whole(0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of seconds from 0 on")]
Accuracy = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """One table of the experiment file: frozen, nothing converted, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Header(Section):
    """`[experiment]`: what the experiment is called and what it optimizes."""

    name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9_-]{1,100}$", description="1 to 100 letters (a-z, A-Z), digits, - and _"),
    ]
    seed: Annotated[int, Field(ge=0, lt=2**63, description="a whole number from 0 to below 2**63")] = 0
    objective: Literal["val_loss", "val_accuracy", "train_loss"] = "val_loss"


class Data(Section):
    """`[data]`: the images."""

    name: Literal["cifar10", "cifar100", "synthetic"] = "cifar10"
    train_size: Positive = 45_000
    val_size: Positive = 5_000
    test_size: Positive = 10_000
    augment: Annotated[bool, Field(description="true or false")] = False

    @property
    def n_classes(self) -> int:
        """How many classes the data set has."""
        return catalog.DATA_SETS[self.name].n_classes


class Model(Section):
    """`[model]`: the network."""

    name: Literal["linear", "mlp", "lenet", "cnn", "3c3d", "resnet8"] = "cnn"
    hidden: Annotated[
        tuple[Positive, ...],
        Field(strict=False, min_length=1, description=f"a list of whole numbers from 1 to {LARGEST:,}"),
    ] = (256,)
    channels: Annotated[
        tuple[Positive, ...],
        Field(
            strict=False,
            min_length=1,
            max_length=5,
            description=f"a list of 1 to 5 whole numbers from 1 to {LARGEST:,}",
        ),
    ] = (16, 32, 64)
    init: Literal["kaiming", "xavier", "normal"] = "kaiming"
    input_size: Literal[32, 16, 8] = 32


class Loss(Section):
    """`[loss]`: what training minimizes."""

    name: Literal["cross_entropy", "hinge"] = "cross_entropy"


class Budget(Section):
    """`[budget]`: how much may be spent."""

    trials_per_optimizer: Positive = 16
    epochs: Positive = 10
    eval_every: Positive = 1
    max_seconds: Seconds = 0


class Search(Section):
    """`[search]`: how settings are proposed and given up."""

    mode: Literal["per_optimizer", "joint"] = "per_optimizer"
    sampler: Literal["tpe", "random", "qmc", "grid"] = "tpe"
    startup_trials: Annotated[
        Literal["half"] | Count, Field(description=f'"half", or a whole number from 0 to {LARGEST:,}')
    ] = "half"
    repeats: Positive = 1
    pruner: Literal["none", "asha", "hyperband", "median"] = "none"
    reduction_factor: Annotated[int, _whole(2)] = 3
    min_epochs: Annotated[
        Literal["quarter"] | Positive,
        Field(description=f'"quarter", or a whole number from 1 to {LARGEST:,}'),
    ] = "quarter"


class Final(Section):
    """`[final]`: how the best settings are trained again."""

    top_k: Count = 1
    seeds: Positive = 10
    untuned: Annotated[bool, Field(description="true or false")] = True


class Resources(Section):
    """`[resources]`: workers, what each gets, and how patient the sweep is with them."""

    workers: Annotated[
        Literal["auto"] | Positive, Field(description=f'"auto", or a whole number from 1 to {LARGEST:,}')
    ] = "auto"
    cpus_per_trial: Annotated[int, _whole(1)] = 1
    gpus_per_trial: Annotated[
        Literal["auto", 0] | Annotated[float, Field(ge=0.01, le=1)] | Positive,
        Field(description='"auto", 0, a share of a GPU from 0.01 to 1, or a whole number of them'),
    ] = "auto"
    attempts: Positive = 3
    hang_factor: Annotated[float, Field(gt=1, allow_inf_nan=False, description="a number above 1")] = 20
    lease_s: Annotated[float, Field(ge=1, le=86_400, description="a number of seconds from 1 to 86,400")] = 30


class Checkpoint(Section):
    """`[checkpoint]`: where and how often a trial's progress is saved."""

    every_epochs: Count = 0
    directory: Annotated[str, Field(description="a local path or an fsspec URL")] = ""


class Report(Section):
    """`[report]`: what is fixed before any result is seen."""

    targets: Annotated[
        tuple[Accuracy, ...],
        Field(strict=False, description="a list of validation accuracies between 0 and 1"),
    ] = ()


SECTIONS: Mapping[str, type[Section]] = {
    "experiment": Header,
    "data": Data,
    "model": Model,
    "loss": Loss,
    "budget": Budget,
    "search": Search,
    "final": Final,
    "resources": Resources,
    "checkpoint": Checkpoint,
    "report": Report,
}
"""The file's tables in its order, but for `[space]` and `[optimizers]`."""
